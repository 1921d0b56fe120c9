#!/usr/bin/env bash
# Starts real servers on loopback and runs a command while they are up:
#   tests/servers/start.sh FOLDER COMMAND…
# FOLDER keeps the virtual environment, the model and the logs. Ports: 18101 FastAPI, 18102 MLServer
# HTTP, 18103 MLServer gRPC.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1/mlserver"
work=$(cd "$1" && pwd)
shift
if [ ! -x "$work/venv/bin/mlserver" ]; then
  python3 -m venv "$work/venv"
  "$work/venv/bin/pip" install --quiet --requirement "$here/requirements.txt"
fi
bin="$work/venv/bin"
"$bin/python" "$here/make_model.py" "$work/small.onnx"

cat > "$work/mlserver/settings.json" <<JSON
{"host": "127.0.0.1", "http_port": 18102, "grpc_port": 18103, "metrics_port": 18104, "parallel_workers": 0}
JSON
cat > "$work/mlserver/model-settings.json" <<JSON
{"name": "small", "implementation": "mlserver_runtime.Onnx",
 "parameters": {"uri": "$work/small.onnx"},
 "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 3, 32, 32]}],
 "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 10]}]}
JSON

pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null || true' EXIT
(cd "$here" && MODEL="$work/small.onnx" exec "$bin/uvicorn" --log-level warning --port 18101 fastapi_app:app) > "$work/fastapi.log" 2>&1 &
pids+=($!)
(cd "$work/mlserver" && PYTHONPATH="$here" exec "$bin/mlserver" start .) > "$work/mlserver.log" 2>&1 &
pids+=($!)

for url in http://127.0.0.1:18101/docs http://127.0.0.1:18102/v2/models/small/ready; do
  for attempt in $(seq 240); do
    if "$bin/python" -c "import urllib.request, sys; urllib.request.urlopen(sys.argv[1], timeout=2)" "$url" 2>/dev/null; then
      break
    fi
    if [ "$attempt" = 240 ]; then
      echo "$url did not come up; see the logs in $work" >&2
      exit 1
    fi
    sleep 0.5
  done
done
VIRTUAL_ENV="$work/venv" "$@"
