#!/usr/bin/env bash
# Starts Triton from the PyPI wheel `nvidia-pytriton`, without a GPU, in the foreground:
#   tests/servers/triton.sh FOLDER MODEL
# FOLDER has the virtual environment `triton-venv` and gets the model repository. Ports: 18105 HTTP, 18106
# gRPC, 18107 metrics. In explicit model control mode, so that its batching can be changed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$1
python="$work/triton-venv/bin/python"
site=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
server="$site/pytriton/tritonserver"

# The backend looks for the stub of this Python, and for its helpers, beside itself.
mkdir -p "$work/triton/backends" "$work/triton/models/small/1"
cp -r "$server/backends/python" "$work/triton/backends/"
cp "$server/python_backend_stubs/$version/triton_python_backend_stub" "$work/triton/backends/python/"
cp "$here/triton_model.py" "$work/triton/models/small/1/model.py"
cat > "$work/triton/models/small/config.pbtxt" <<CONFIG
name: "small"
backend: "python"
max_batch_size: 8
input [{ name: "x", data_type: TYPE_FP32, dims: [3, 32, 32] }]
output [{ name: "y", data_type: TYPE_FP32, dims: [10] }]
instance_group [{ kind: KIND_CPU, count: 1 }]
dynamic_batching { preferred_batch_size: [4, 8], max_queue_delay_microseconds: 500 }
CONFIG

# The stub embeds a Python, which must be the one the environment is of.
export LD_LIBRARY_PATH="$("$python" -c 'import sysconfig; print(sysconfig.get_config_var("LIBDIR"))'):$site/nvidia_pytriton.libs"
export PACKAGES="$site" MODEL="$2"
exec "$server/bin/tritonserver" --model-control-mode=explicit --load-model=small \
  --model-repository "$work/triton/models" \
  --backend-directory "$work/triton/backends" --http-address 127.0.0.1 --http-port 18105 \
  --grpc-address 127.0.0.1 --grpc-port 18106 --metrics-address 127.0.0.1 --metrics-port 18107
