#!/usr/bin/env bash
# The load generator beside others against nginx, server and client each on a core of its own:
#   benches/client.sh FOLDER ROOFLENS
# Needs nginx, wrk, h2load (Debian: nginx-light wrk nghttp2-client), curl, taskset; oha where it is on
# the path. Port 21550. Prints the tables of docs/client.md.
set -euo pipefail
mkdir -p "$1"
work=$(cd "$1" && pwd)
rooflens=$2
seconds=${SECONDS_EACH:-8}
connections=32
port=21550
server=0
client=1

head -c 100 /dev/zero | tr '\0' x > "$work/small"
cat > "$work/nginx.conf" <<CONF
daemon off; worker_processes 1; pid $work/nginx.pid; error_log $work/error.log;
events { worker_connections 4096; }
http {
  access_log off; keepalive_requests 100000000; keepalive_timeout 600s; open_file_cache max=10;
  client_body_temp_path $work/body; proxy_temp_path $work/proxy; fastcgi_temp_path $work/fastcgi;
  uwsgi_temp_path $work/uwsgi; scgi_temp_path $work/scgi;
  server { listen 127.0.0.1:$port backlog=4096; root $work; }
}
CONF
taskset -c $server nginx -c "$work/nginx.conf" 2>/dev/null &
nginx=$!
trap 'kill $nginx 2>/dev/null || true; wait 2>/dev/null || true' EXIT
for _ in $(seq 50); do curl -sf -o /dev/null http://127.0.0.1:$port/small && break; sleep 0.1; done
url=http://127.0.0.1:$port/small
on() { taskset -c $client "$@"; }
json() { python3 -c "import json, sys; m = json.load(open('$work/m/measurement.json')); print($1)"; }
probe() {
  rm -rf "$work/m"
  on "$rooflens" probe "$url" --senders 1 --seconds "$seconds" -o "$work/m" "$@" > "$work/last.txt" || true
}

echo "requests/s, closed loop, $connections connections, one client thread, $seconds s each, in turn"
for round in 1 2 3; do
  a=$(on wrk -t1 -c$connections -d"${seconds}s" "$url" | awk '/Requests\/sec/ {print $2}')
  b=$(on h2load --h1 -t1 -c$connections -D "$seconds" "$url" | awk '/^finished/ {print $4}')
  probe --load closed:$connections
  c=$(json "round(m['window']['completed_per_second'])")
  d=-
  if command -v oha >/dev/null; then
    d=$(on oha --no-tui -c $connections -z "${seconds}s" "$url" | awk '/Requests\/sec/ {print $2}')
  fi
  echo "round $round  wrk $a  h2load $b  rooflens $c  oha $d"
done

echo "lateness (taken up after due), steady load"
for rate in 1000 5000 20000; do
  probe --load steady:$rate
  json "'$rate/s ' + '  '.join('p%g %.0f us' % (100 * p['quantile'], 1e6 * p['seconds']) for p in m['lateness']['percentiles'] if p['quantile'] in (0.5, 0.99) and p['seconds'] is not None) + '  ' + m['verdict']['verdict']"
done

# With Triton of tests/servers/start.sh and perf_analyzer (in the wheel tritonclient 2.42.0): TRITON_PID.
[ -n "${TRITON_PID:-}" ] || exit 0
for pid in $TRITON_PID $(pgrep -P "$TRITON_PID"); do taskset -a -p -c $server "$pid" > /dev/null; done
url=kserve+grpc://127.0.0.1:18106/small
analyze() {
  on perf_analyzer -m small -u 127.0.0.1:18106 -i grpc --async -s 999 --percentile=99 \
    -f "$work/pa.csv" "$@" > "$work/pa.txt" 2>&1 || true
}
# Seconds of processor that children have used so far.
spent() { python3 -c "import sys; t = open('/proc/%s/stat' % sys.argv[1]).read().rsplit(')', 1)[1].split(); print((int(t[13]) + int(t[14])) / 100)" $$; }

echo "KServe gRPC against Triton, closed loop, 16 in flight: inferences/s and client processor time each"
for round in 1 2; do
  before=$(spent)
  analyze --concurrency-range 16 -p 2000 -r 3
  middle=$(spent)
  a=$(awk -F, 'NR == 2 {print $2}' "$work/pa.csv")
  probe --load closed:16
  after=$(spent)
  b=$(json "round(m['window']['completed_per_second'])")
  echo "round $round  perf_analyzer $a/s, $(python3 -c "print(round($middle - $before, 2))") s  rooflens $b/s, $(python3 -c "print(round($after - $middle, 2))") s"
done

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
echo "perf_analyzer  $(grep -oE 'p99 latency: [0-9]+ usec' "$work/pa.txt" | head -1)"
