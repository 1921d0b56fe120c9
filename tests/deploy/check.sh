#!/usr/bin/env bash
# What deploy/ promises, tried out: the manifests by Kubernetes' schemas, four stripes from four network namespaces merged
# exactly, and the job on a Slurm of one node that is busy when it comes. Takes about a minute.
#   tests/deploy/check.sh target/debug/rooflens
# Needs Python with what requirements.txt names (in $PYTHON, else in an environment that is made for it), root for namespaces (without: four processes), and munge, slurmctld, slurmd and slurm-client, which
# root installs where they are not there.
set -euo pipefail
rooflens=$(realpath "$1")
here=$(dirname "$(realpath "$0")")
deploy=$here/../../deploy
work=$(mktemp -d)
started=()  # processes of this script
namespaces=()
bridge=rlbridge

clean() {
  local status=$?
  for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
  for file in slurmctld slurmd munged; do
    if [ -s "$work/$file.pid" ]; then kill "$(cat "$work/$file.pid")" 2>/dev/null || true; fi
  done
  for name in "${namespaces[@]}"; do ip netns del "$name" 2>/dev/null || true; done
  ip link del "$bridge" 2>/dev/null || true
  if [ "$status" -ne 0 ]; then tail -n 20 "$work"/*.log "$work"/*.out 2>/dev/null || true; fi
  rm -rf "$work"
  exit "$status"
}
trap clean EXIT

say() { printf '  %s (%s s)\n' "$1" "$SECONDS"; }

# A server at an address; waits until it answers.
serve() {
  python3 "$here/server.py" "$1" 8000 >"$work/server.log" 2>&1 &
  started+=($!)
  for _ in $(seq 100); do
    if curl -s -o "$work/first" "http://$1:8000/count"; then return; fi
    sleep 0.1
  done
  echo "the server does not answer at $1" >&2
  exit 1
}

# The merged measurement in $1 against what a single machine would have sent: the options of its load follow.
compare() {
  local merged=$1
  shift
  "$rooflens" probe http://127.0.0.1:8000/ "$@" --dry-run >"$work/plan"
  python3 - "$merged/measurement.json" "$work/plan" <<'PYTHON'
import json, re, sys
measured, plan = json.load(open(sys.argv[1])), open(sys.argv[2]).read()
requests, fingerprint = int(re.search(r"(\d+) requests", plan)[1]), re.search(r"fingerprint (\w+)", plan)[1]
run, rows = measured["run"], measured["intervals"]
due = rows["columns"].index("due")
sent = sum(row[due] for row in rows["rows"])
assert measured["plan"]["stripes"] == [0, 1, 2, 3], measured["plan"]
assert run["schedule_fingerprint"] == fingerprint, (run["schedule_fingerprint"], fingerprint)
assert sent == requests, (sent, requests)
assert not measured["errors"], measured["errors"]
assert run["meeting"]["name"] and run["start_spread_seconds"] < 0.5, run
print(f"  {sent} requests of 4 stripes, begun within {1e3 * run['start_spread_seconds']:.1f} ms, {measured['verdict']['verdict']}")
PYTHON
}

manifests() {
  local python=${PYTHON:-$work/venv/bin/python}
  if [ -z "${PYTHON:-}" ]; then
    python3 -m venv "$work/venv"
    "$work/venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
  fi
  "$python" "$here/check_manifests.py" "$rooflens" "$deploy"
}

# Four stripes, each in a network of its own where the system allows it.
spread() {
  local server=127.0.0.1 first=127.0.0.1 prefix=()
  if ip link add "$bridge" type bridge 2>/dev/null; then
    ip addr add 10.213.77.1/24 dev "$bridge"
    ip link set "$bridge" up
    server=10.213.77.1 first=10.213.77.10
    for k in 0 1 2 3; do
      local name=rooflens-$$-$k
      ip netns add "$name"
      namespaces+=("$name")
      ip link add "rlv$k" type veth peer name eth0 netns "$name"
      ip link set "rlv$k" master "$bridge" up
      ip -n "$name" addr add "10.213.77.1$k/24" dev eth0
      ip -n "$name" link set eth0 up
      ip -n "$name" link set lo up
    done
  else
    echo "  namespaces are refused here: four processes take their place"
  fi
  serve "$server"
  local load=(--load poisson:200 --seconds 4 --seed 7) pids=() k
  for k in 3 2 1 0; do
    prefix=()
    if [ "${#namespaces[@]}" -gt 0 ]; then prefix=(ip netns exec "rooflens-$$-$k"); fi
    PMI_RANK=$k PMI_SIZE=4 "${prefix[@]}" "$rooflens" probe "http://$server:8000/" "${load[@]}" --no-meters \
      --stripe auto --meet "$first:7077" --meet-patience 30 --output "$work/spread/part-$k" >"$work/stripe-$k.out" 2>&1 &
    pids+=($!)
    sleep 0.5
  done
  for pid in "${pids[@]}"; do wait "$pid" || [ $? -eq 1 ]; done
  "$rooflens" merge "$work/spread" --output "$work/spread/whole" >"$work/merge.out" || [ $? -eq 1 ]
  compare "$work/spread/whole" "${load[@]}"
}

install_slurm() {
  if command -v slurmctld slurmd munged sbatch >/dev/null; then return; fi
  if [ "$(id -u)" -ne 0 ]; then
    echo "Slurm is not installed, and only root can install it: apt-get install munge slurmctld slurmd slurm-client" >&2
    exit 1
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get -qq update
  apt-get -qq -o DPkg::Lock::Timeout=300 install -y --no-install-recommends munge slurmctld slurmd slurm-client >"$work/apt.out"
}

# A cluster of one node with four processors, whatever the machine has.
start_slurm() {
  local host
  host=$(hostname -s)
  dd if=/dev/urandom bs=1 count=1024 of="$work/munge.key" 2>"$work/dd.log"
  chmod 400 "$work/munge.key"
  mkdir "$work/state" "$work/spool"
  cat >"$work/slurm.conf" <<CONF
ClusterName=rooflens
SlurmctldHost=$host(127.0.0.1)
AuthType=auth/munge
AuthInfo=socket=$work/munge.socket
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
SlurmctldPort=26817
SlurmdPort=26818
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool
SlurmctldPidFile=$work/slurmctld.pid
SlurmdPidFile=$work/slurmd.pid
SlurmctldLogFile=$work/slurmctld.log
SlurmdLogFile=$work/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
MpiDefault=none
ReturnToService=2
SlurmdParameters=config_overrides
NodeName=$host NodeAddr=127.0.0.1 CPUs=4 State=UNKNOWN
PartitionName=all Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF
  chmod 755 "$work"
  munged --force --socket="$work/munge.socket" --key-file="$work/munge.key" --pid-file="$work/munged.pid" \
    --log-file="$work/munged.log" --seed-file="$work/munge.seed"
  export SLURM_CONF=$work/slurm.conf
  slurmctld -c -f "$SLURM_CONF"
  slurmd -c -f "$SLURM_CONF"
  for _ in $(seq 100); do
    if sinfo -h -o %T 2>/dev/null | grep -q idle; then return; fi
    sleep 0.2
  done
  echo "the node does not become idle" >&2
  exit 1
}

slurm() {
  install_slurm
  start_slurm
  say "Slurm is up"
  serve 127.0.0.1
  # The cluster is busy when the job comes, and another job runs between.
  sbatch --quiet --exclusive --output="$work/busy.out" --wrap "sleep 5"
  PATH=$(dirname "$rooflens"):$PATH
  export PATH TARGET=http://127.0.0.1:8000/ LOAD=poisson:200 SECONDS_OF_LOAD=4 OUTPUT=$work/job MORE=--no-meters
  sbatch --quiet --wait --nodes=1 --ntasks-per-node=4 --output="$work/job.out" "$deploy/slurm-job.sh" || [ $? -eq 1 ]
  compare "$work/job/whole" --load "$LOAD" --seconds "$SECONDS_OF_LOAD" --seed 1
}

mkdir -p "$work/spread"
manifests
say "manifests"
spread
say "four stripes"
for pid in "${started[@]}"; do kill "$pid"; done
started=()
slurm
say "Slurm"
