#!/usr/bin/env bash
# Starts real servers on loopback and runs a command while they are up:
#   tests/servers/start.sh FOLDER COMMAND…
# FOLDER keeps virtual environments, models with inputs and expected outputs, a certificate, logs; the
# command finds it in $SERVERS.
#
#   18101  FastAPI                        18111  FastAPI over TLS, with a self-signed certificate
#   18102  MLServer HTTP                  18103  gRPC       18104  metrics
#   18105  Triton HTTP                    18106  gRPC       18107  metrics
#   18108  Flask
#   18109  FastAPI with images, one thread that prepares    18110  two
#   18112  TensorFlow Serving REST        18113  gRPC: tensorflow_model_server where it is on the
#          path, and else the stand-in of tfs_standin.py    18114  the stand-in's gRPC over TLS
#   18115  llama.cpp's server with a small language model
set -euo pipefail
from=$PWD
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1/mlserver"
work=$(cd "$1" && pwd)
shift

# environment NAME REQUIREMENTS [REQUIREMENTS-WITHOUT-WHAT-THEY-ASK-FOR]
environment() {
  local venv="$work/$1" wanted
  wanted=$(cat "${@/#/$here/}" 2>/dev/null || true)
  if [ "$(cat "$venv/wanted" 2>/dev/null)" != "$wanted" ]; then
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/$2"
    if [ -n "${3:-}" ]; then
      "$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --requirement "$here/$3"
    fi
    echo "$wanted" > "$venv/wanted"
  fi
}
environment venv requirements.txt
environment triton-venv requirements-triton.txt requirements-triton-binaries.txt
environment tensorflow-venv requirements-tensorflow.txt requirements-tensorflow-api.txt
environment llama-venv requirements-llama.txt
bin="$work/venv/bin"
tensorflow="$work/tensorflow-venv/bin/python"
llama="$work/llama-venv/bin/python"
export TF_CPP_MIN_LOG_LEVEL=2

"$bin/python" "$here/make_model.py" "$work"
"$tensorflow" "$here/tfs_model.py" "$work/small.npz" "$work/saved_model/1"
"$llama" "$here/make_gguf.py" "$work/small.gguf"
openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=localhost \
  -addext subjectAltName=DNS:localhost,IP:127.0.0.1 \
  -keyout "$work/key.pem" -out "$work/certificate.pem" 2>/dev/null
export SERVERS="$work" MODEL="$work/small.onnx" IMAGE_MODEL="$work/image.onnx"

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
# serve NAME COMMAND…
serve() {
  local log="$work/$1.log"
  shift
  "$@" > "$log" 2>&1 &
  pids+=($!)
}
cd "$here"
serve fastapi "$bin/uvicorn" --log-level warning --port 18101 fastapi_app:app
serve fastapi-tls "$bin/uvicorn" --log-level warning --port 18111 \
  --ssl-keyfile "$work/key.pem" --ssl-certfile "$work/certificate.pem" fastapi_app:app
serve images env PRE_WORKERS=1 "$bin/uvicorn" --log-level warning --port 18109 image_app:app
serve images-2 env PRE_WORKERS=2 "$bin/uvicorn" --log-level warning --port 18110 image_app:app
serve flask "$bin/waitress-serve" --listen 127.0.0.1:18108 flask_app:app
serve llama "$llama" llama_server.py "$work/small.gguf" 18115
serve triton ./triton.sh "$work" "$work/small.onnx"
if command -v tensorflow_model_server >/dev/null; then
  serve tensorflow tensorflow_model_server --model_name=small --model_base_path="$work/saved_model" \
    --rest_api_port=18112 --port=18113
  standin=()
else
  standin=(--rest 18112 --grpc 18113)
fi
serve tensorflow-standin "$tensorflow" tfs_standin.py "$work/saved_model/1" small "${standin[@]}" \
  --grpc-tls 18114 "$work/certificate.pem" "$work/key.pem"
cd "$work/mlserver"
PYTHONPATH="$here" serve mlserver "$bin/mlserver" start .
cd "$from"

for url in http://127.0.0.1:18101/docs http://127.0.0.1:18102/v2/models/small/ready \
  http://127.0.0.1:18105/v2/models/small/ready http://127.0.0.1:18108/ready \
  http://127.0.0.1:18109/docs http://127.0.0.1:18110/docs https://127.0.0.1:18111/docs \
  http://127.0.0.1:18112/v1/models/small http://127.0.0.1:18115/health; do
  for attempt in $(seq 240); do
    if "$bin/python" -c "import ssl, sys, urllib.request as u; u.urlopen(sys.argv[1], timeout=2, context=ssl.create_default_context(cafile=sys.argv[2]))" "$url" "$work/certificate.pem" 2>/dev/null; then
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
