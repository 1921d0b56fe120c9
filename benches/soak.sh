#!/usr/bin/env bash
# Whether memory stays flat in a long run: half an hour of 5000 requests/s against nginx.
#   benches/soak.sh FOLDER ROOFLENS [SECONDS [RATE]]
# Needs nginx (Debian: nginx-light) and curl. Port 18300, or $PORT. Prints the resident memory of the
# client each ten seconds, and the run's summary. Exit code 1 where memory grew by more than 12 MB between a minute
# into the load and its end, or where a request failed.
set -euo pipefail
mkdir -p "$1"
work=$(cd "$1" && pwd)
rooflens=$2
seconds=${3:-1800}
rate=${4:-5000}
port=${PORT:-18300}

. "$(dirname "$0")/nginx.sh"
serve "$work" "$port"

rm -rf "$work/m"
"$rooflens" probe "$url" --senders 1 --load "steady:$rate" --seconds "$seconds" -o "$work/m" > "$work/last.txt" 2>&1 &
client=$!
begin=$SECONDS
: > "$work/memory"
echo "seconds  resident kB"
while sleep 10 && kill -0 $client 2>/dev/null; do
  rss=$(awk '/^VmRSS/ {print $2}' "/proc/$client/status" 2>/dev/null || true)
  [ -n "$rss" ] && echo "$((SECONDS - begin)) $rss" | tee -a "$work/memory"
done
wait $client || true
cat "$work/last.txt"
awk -v end="$seconds" '
  $1 >= 60 && !first {first = $2; at = $1}
  $1 <= end {last = $2; to = $1}
  END {
    printf "resident: %.1f MB after %d s, %.1f MB after %d s\n", first / 1000, at, last / 1000, to
    exit !(first && last - first <= 12000)
  }' "$work/memory"
python3 -c "
import json
m = json.load(open('$work/m/measurement.json'))
due, lost = (sum(row[i] for row in m['intervals']['rows']) for i in (0, 2))
print(due, 'requests were due,', lost, 'were not answered well')
raise SystemExit(lost > 0)"
