#!/usr/bin/env bash
# Load generators on four nodes that send one schedule together:
#   sbatch --export=ALL,TARGET=kserve+grpc://node1:8001/MODEL deploy/slurm-job.sh
# One job with four tasks: Slurm starts it when all nodes are free, and the tasks agree among themselves on the instant at
# which the load begins. The parts and the merged measurement are in rooflens-JOBID/, which all nodes must see.
# More nodes: sbatch --nodes=8 …. LOAD, SECONDS_OF_LOAD and OUTPUT change what the names say; MORE is added to the command.
#SBATCH --job-name=rooflens-probe
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --exclusive
#SBATCH --time=00:30:00
set -euo pipefail
: "${TARGET:?give the server: sbatch --export=ALL,TARGET=kserve+grpc://node1:8001/MODEL deploy/slurm-job.sh}"
output=${OUTPUT:-rooflens-$SLURM_JOB_ID}
mkdir -p "$output"
# The first task listens on the first node; a port that other jobs on it do not have.
first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
meet=$first:$((20000 + SLURM_JOB_ID % 10000))
# Exit code 1 is a verdict on a part; the merged run has its own. Any other failure ends the job.
# shellcheck disable=SC2016  # expanded by each task
srun --kill-on-bad-exit=1 --cpu-bind=none bash -c '
  status=0
  rooflens probe "$TARGET" --load "${LOAD:-poisson:20000}" --seconds "${SECONDS_OF_LOAD:-60}" --seed 1 \
    --stripe auto --meet "$1" --output "$2/part-$SLURM_PROCID" ${MORE:-} || status=$?
  [ "$status" -lt 2 ]' task "$meet" "$output"
rooflens merge "$output" --output "$output/whole"
