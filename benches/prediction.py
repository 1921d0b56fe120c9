#!/usr/bin/env python3
"""Predicted against measured latency, batch 1, one thread, of the models in models/ and tests/models/.

    rooflens hw measure --calibrate --runtime tract --runtime ort -o hw/here.toml
    python benches/prediction.py target/release/rooflens hw/here.toml [SECONDS] [RUNTIME…]

Sizes that a model leaves open are one; weights that its file lacks are random. Models that a runtime
or the estimate cannot take are named. Prints a Markdown table.
"""
import glob
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

rooflens, device = sys.argv[1], pathlib.Path(sys.argv[2])
seconds = sys.argv[3] if len(sys.argv) > 3 else "3"
runtimes = sys.argv[4:] or ["tract", "ort"]
root = pathlib.Path(__file__).resolve().parent.parent
models = sorted(glob.glob(f"{root}/models/*.onnx") + glob.glob(f"{root}/tests/models/*.onnx"))


def call(*words):
    return subprocess.run([rooflens, *words], capture_output=True, text=True)


rows, errors, above, left_out = [], {r: [] for r in runtimes}, [], []
for model in models:
    name = pathlib.Path(model).stem
    on = ["--on", device.stem, "--hwdb", str(device.parent)]
    analysis = call("analyze", model, *on, "--format", "json")
    if analysis.returncode:
        left_out.append(f"{name}: {analysis.stderr.splitlines()[0]}")
        continue
    bound = json.loads(analysis.stdout)["bounds"][0]
    for runtime in runtimes:
        found = [e for e in bound["estimates"] if e["runtime"] == runtime]
        if not found:
            left_out.append(f"{name}, {runtime}: no estimate for {bound['dtype']}")
            continue
        with tempfile.TemporaryDirectory() as folder:
            out = os.path.join(folder, "probe")
            run = call("probe", f"{runtime}:{model}", "--seconds", seconds, "-o", out)
            if not os.path.exists(out):
                left_out.append(f"{name}, {runtime}: {run.stderr.splitlines()[0][:120]}")
                continue
            measurement = json.load(open(os.path.join(out, "measurement.json")))
        service = measurement["service"]["percentiles"]
        measured = next(q["seconds"] for q in service if q["quantile"] == 0.5)
        estimate, least = found[0]["seconds"], bound["least_seconds"]
        error = estimate / measured - 1
        errors[runtime].append(abs(error))
        if least > measured:
            above.append(f"{name}, {runtime}")
        rows.append((name, runtime, least, estimate, measured, error))
        print(rows[-1], file=sys.stderr)

print("| model | runtime | at least | estimate | measured | error |\n| --- | --- | ---: | ---: | ---: | ---: |")
for name, runtime, *times, error in rows:
    print(f"| {name} | {runtime} | " + " | ".join(f"{t * 1e3:.3f} ms" for t in times) + f" | {error:+.0%} |")
for runtime, all_errors in errors.items():
    if all_errors:
        print(f"\n{runtime}: {len(all_errors)} models, median absolute error {statistics.median(all_errors):.1%}")
print("\nbounds above the measured time: " + (", ".join(above) or "none"))
for line in left_out:
    print(f"- left out: {line}")
