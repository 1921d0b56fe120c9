#!/usr/bin/env bash
# The load generator beside others against nginx and Triton, server and client each on a core of its own:
#   benches/client.sh FOLDER ROOFLENS [PART…]      parts: closed, lateness, triton, stall; all where left out
# Needs nginx, wrk, h2load (Debian: nginx-light wrk nghttp2-client), curl, taskset; oha and wrk2 where they
# are on the path (wrk2's own build calls it wrk). Port 18310, or $PORT. Prints the tables of docs/client.md. The last two parts need Triton of
# tests/servers/triton.sh, its process in $TRITON_PID, and perf_analyzer (in the wheel tritonclient 2.42.0).
set -euo pipefail
mkdir -p "$1"
work=$(cd "$1" && pwd)
rooflens=$2
shift 2
parts=${*:-closed lateness triton stall}
seconds=${SECONDS_EACH:-8}
connections=32
rounds=${ROUNDS:-3}
port=${PORT:-18310}
server=0
client=1

. "$(dirname "$0")/nginx.sh"
serve "$work" "$port" taskset -c $server
on() { taskset -c $client "$@"; }
json() { python3 -c "import json, sys; m = json.load(open('$work/m/measurement.json')); print($1)"; }
probe() {
  rm -rf "$work/m"
  on "$rooflens" probe "$url" --senders 1 --seconds "$seconds" -o "$work/m" "$@" > "$work/last.txt" || true
}

# Runs a client on its core; its output is in last.txt, its seconds of processor in last.cpu.
timed() {
  local TIMEFORMAT='%U %S'
  { time on "$@" > "$work/last.txt" 2>&1 || true; } 2> "$work/last.cpu"
}
row() { echo "$2" | awk -v n="$1" -v s="$seconds" '{getline c < "'"$work/last.cpu"'"; split(c, t, " "); printf "%-13s %8.0f/s %8.0f per second of processor\n", n, $1, $1 * s / (t[1] + t[2])}'; }

wanted() { [[ " $parts " == *" $1 "* ]]; }

if wanted closed; then
  echo "requests, closed loop, $connections connections, one client thread, $seconds s each, in turn"
  for round in $(seq "$rounds"); do
    timed wrk -t1 -c$connections -d"${seconds}s" "$url"
    row wrk "$(awk '/Requests\/sec/ {print $2}' "$work/last.txt")"
    timed h2load --h1 -t1 -c$connections -D "$seconds" "$url"
    row h2load "$(awk '/^finished/ {print $4}' "$work/last.txt")"
    rm -rf "$work/m"
    timed "$rooflens" probe "$url" --senders 1 --no-meters --seconds "$seconds" --load closed:$connections -o "$work/m"
    row rooflens "$(json "m['window']['completed_per_second']")"
    if command -v oha >/dev/null; then
      timed oha --no-tui -c $connections -z "${seconds}s" "$url"
      row oha "$(awk '/Requests\/sec/ {print $2}' "$work/last.txt")"
    fi
  done
fi

if wanted lateness; then
  echo "lateness (taken up after due) and response time, steady load"
  for rate in 1000 5000 20000; do
    probe --load steady:$rate
    json "'rooflens $rate/s ' + '  '.join(k + ' p%g %.0f us' % (100 * p['quantile'], 1e6 * p['seconds']) for k in ('lateness', 'response') for p in m[k]['percentiles'] if p['quantile'] in (0.5, 0.99) and p['seconds'] is not None) + '  ' + m['verdict']['verdict']"
    if command -v oha >/dev/null; then
      on oha --no-tui -c $connections -q $rate --latency-correction -z "${seconds}s" "$url" > "$work/last.txt" || true
      echo "oha $rate/s response $(grep -E '(50|99)\.00% in' "$work/last.txt" | tr -s ' ' | tr '\n' ' ')"
    fi
    # The first pair of numbers counts from when a request was due, the second from when it was sent.
    if command -v wrk2 >/dev/null; then
      on wrk2 -t1 -c$connections -d"${seconds}s" -R $rate --u_latency "$url" > "$work/last.txt" || true
      echo "wrk2 $rate/s response, service $(grep -E '^ +(50|99)\.000%' "$work/last.txt" | tr -s ' ' | tr '\n' ' ')"
    fi
  done
fi

wanted triton || wanted stall || exit 0
for pid in $TRITON_PID $(pgrep -P "$TRITON_PID" || true); do taskset -a -p -c $server "$pid" > /dev/null; done
http=http://127.0.0.1:18105
url=kserve+grpc://127.0.0.1:18106/small
# Requests that Triton has answered well since it started: what every client sent is counted alike.
answered() { curl -s $http/v2/models/small/stats | python3 -c "import json, sys; print(json.load(sys.stdin)['model_stats'][0]['inference_stats']['success']['count'])"; }
analyze() {
  timed perf_analyzer -m small -u 127.0.0.1:18106 -i grpc -s 999 --percentile=99 \
    -f "$work/pa.csv" "$@"
}
# counted NAME RATE BEFORE AFTER: the rate that the client tells, and all requests against all its time.
counted() {
  awk -v n="$1" -v r="$2" -v k="$(($4 - $3))" '{printf "%-13s %8.0f/s told, %8d requests in all, %8.0f per second of processor\n", n, r, k, k / ($1 + $2)}' "$work/last.cpu"
}

if wanted triton; then
  echo "KServe gRPC against Triton, closed loop, 16 in flight"
  for round in $(seq "$rounds"); do
    before=$(answered)
    analyze --async --concurrency-range 16 -p $((1000 * seconds / 3)) -r 3
    counted perf_analyzer "$(awk -F, 'NR == 2 {print $2}' "$work/pa.csv")" "$before" "$(answered)"
    rm -rf "$work/m"
    before=$(answered)
    timed "$rooflens" probe "$url" --senders 1 --no-meters --seconds "$seconds" --load closed:16 -o "$work/m"
    counted rooflens "$(json "m['window']['completed_per_second']")" "$before" "$(answered)"
  done
fi

wanted stall || exit 0
echo "Triton stopped for 3 s of 18 s at 60 requests/s"
pause() { (sleep 7; kill -STOP "$TRITON_PID"; sleep 3; kill -CONT "$TRITON_PID") & }
pause
on "$rooflens" probe "$url" --senders 1 --load steady:60 --seconds 18 --warm-up 0 -o "$work/stall" > "$work/last.txt" || true
python3 -c "
import json, math
m = json.load(open('$work/stall/measurement.json'))
p = next(p for p in m['response']['percentiles'] if abs(p['quantile'] - 0.99) < 1e-9)
n = m['window']['due']
print('rooflens       p99 %.3f s; truth %.3f s' % (p['seconds'], 3 - math.ceil(n / 100) / 60))"
rm -rf "$work/stall"
wait %% 2>/dev/null || true
pause
analyze --request-rate-range 60 -p 6000 -r 3
echo "perf_analyzer  $(grep -oE 'p99 latency: [0-9]+ usec' "$work/last.txt" | head -1)"
