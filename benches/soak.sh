#!/usr/bin/env bash
# Whether memory stays flat in a long run, and whether a run that is killed leaves what it measured: half an hour of
# 5000 requests/s, of which the interim file is written all the time.
#   benches/soak.sh FOLDER ROOFLENS [MINUTES [RATE [KILL]]]
# KILL is the share of the time after which the client is killed (SIGKILL) and what it left is merged: 0.667, or 0 for
# never. Needs curl, and nginx (Debian: nginx-light) or python3, whose server takes a core of its own from some
# thousand requests/s on. Port 18300, or $PORT. Prints the resident memory of the client each ten seconds, and the run's
# summary. Exit code 1 where memory grew by more than 12 MB between a minute into the load and its end, where a request
# failed, or where more than 16 s before the kill are missing.
set -euo pipefail
mkdir -p "$1"
work=$(cd "$1" && pwd)
rooflens=$2
seconds=$(awk -v m="${3:-30}" 'BEGIN {printf "%d", 60 * m}')
rate=${4:-5000}
kill_at=$(awk -v s="$seconds" -v k="${5:-0.667}" 'BEGIN {printf "%d", s * k}')
port=${PORT:-18300}
here=$(cd "$(dirname "$0")" && pwd)

if command -v nginx > /dev/null; then
  . "$here/nginx.sh"
  serve "$work" "$port"
else
  python3 "$here/answers.py" "$port" &
  server=$!
  trap 'kill $server 2>/dev/null || true; wait 2>/dev/null || true' EXIT
  url=http://127.0.0.1:$port/
  for _ in $(seq 50); do curl -sf -o /dev/null "$url" && break; sleep 0.1; done
fi

rm -rf "$work/m" "$work/whole"
"$rooflens" probe "$url" --senders 1 --load "steady:$rate" --seconds "$seconds" -o "$work/m" > "$work/last.txt" 2>&1 &
client=$!
begin=$SECONDS
: > "$work/memory"
echo "seconds  resident kB"
while sleep 10 && kill -0 $client 2>/dev/null; do
  rss=$(awk '/^VmRSS/ {print $2}' "/proc/$client/status" 2>/dev/null || true)
  [ -n "$rss" ] && echo "$((SECONDS - begin)) $rss" | tee -a "$work/memory"
  if [ "$kill_at" -gt 0 ] && [ $((SECONDS - begin)) -ge "$kill_at" ]; then
    killed=$((SECONDS - begin))
    kill -9 $client
    break
  fi
done
wait $client 2>/dev/null || true
if [ "$kill_at" -gt 0 ]; then
  echo "killed after $killed s; $(du -sh "$work/m/interim" | cut -f1) are left"
  "$rooflens" merge "$work/m" -o "$work/whole" > "$work/last.txt" 2>&1 || true
  seconds=$killed
else
  mv "$work/m" "$work/whole"
fi
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
m = json.load(open('$work/whole/measurement.json'))
rows = m['intervals']['rows']
due, good, lost = (sum(row[i] for row in rows) for i in (0, 1, 2))
print(due, 'requests were due in', round(m['run']['seconds'], 1), 's:', good, 'answered,', lost, 'failed')
missing = $seconds - m['run']['seconds']
print(round(missing, 1), 's before the end are missing')
raise SystemExit(lost > 0 or missing > (16 if $kill_at else 1))"
