#!/usr/bin/env bash
# Four load generators that send one schedule together, each on its own node:
#   sbatch --export=ALL,TARGET=kserve+grpc://node1:8001/MODEL,START=$(( $(date +%s) + 120 )) deploy/slurm-array.sh
# When all are done: rooflens merge part-* -o whole
#SBATCH --job-name=rooflens-probe
#SBATCH --array=0-3
#SBATCH --nodes=1
#SBATCH --exclusive
#SBATCH --time=00:15:00
set -uo pipefail
rooflens probe "$TARGET" --load "${LOAD:-poisson:20000}" --seconds "${SECONDS_OF_LOAD:-60}" --seed 1 \
  --stripe auto/4 --start-at "$START" --output "part-$SLURM_ARRAY_TASK_ID"
# 1 is a verdict on the part; the merged run has its own.
[ $? -lt 2 ]
