#!/usr/bin/env python3
"""Predicted against measured latency, batch 1, one thread, of the models in models/ and tests/models/.

    pip install onnxruntime
    cargo build --release
    python benches/prediction.py target/release/rooflens [CONFIG] > table.md

Measures the ceilings and calibrates both runtimes, which takes minutes, unless CONFIG is a
configuration folder in which `hw measure --calibrate --save` was run before. None of the models is part
of a calibration. Sizes that a model leaves open are one, but for a network that takes no image of one
pixel; weights that its file lacks are random. Each
model is measured in three rounds, and the least median counts: what disturbs a run makes it slower.
Models that a runtime or the estimate cannot take are named. Prints Markdown. Run it on an idle machine.
"""
import glob
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROUNDS = 3
SECONDS = "1"
RUNTIMES = ["tract", "ort"]
SIZES = {"unet": "input=1x3x128x128"}
rooflens = os.path.abspath(sys.argv[1])
root = pathlib.Path(__file__).resolve().parent.parent
models = sorted(glob.glob(f"{root}/models/*.onnx") + glob.glob(f"{root}/tests/models/*.onnx"))
scratch = tempfile.TemporaryDirectory()
config = os.path.abspath(sys.argv[2]) if len(sys.argv) > 2 else scratch.name
environment = {**os.environ, "XDG_CONFIG_HOME": config}


def call(*words):
    return subprocess.run([rooflens, *words], capture_output=True, text=True, env=environment)


def first_line(run):
    lines = [l for l in run.stderr.splitlines() if "rror" in l] or ["no reason given"]
    return lines[0].removeprefix("error: ")[:110]


def sizes(flag, model):
    """The sizes of the model's inputs, where they must be given."""
    given = SIZES.get(pathlib.Path(model).stem)
    return [flag, given] if given else []


def measured(model, runtime):
    """Seconds of one inference: the median of a probe; a reason where there is none."""
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "probe")
        target = [f"{runtime}:{model}", *sizes("--input", model)]
        run = call("probe", *target, "--seconds", SECONDS, "-o", out)
        if not os.path.exists(f"{out}/measurement.json"):
            return None, first_line(run)
        measurement = json.load(open(f"{out}/measurement.json"))
    service = measurement["service"]["percentiles"]
    return next(q["seconds"] for q in service if q["quantile"] == 0.5), None


if len(sys.argv) < 3:
    run = call("hw", "measure", "--calibrate", "--runtime", "tract", "--runtime", "ort", "--save")
    print(run.stdout or run.stderr, file=sys.stderr)
    if run.returncode:
        sys.exit("the machine could not be measured")

left_out, bounds = [], {}
for model in models:
    name = pathlib.Path(model).stem
    on = ["--on", "host-one-thread", "--format", "json"]
    analysis = call("analyze", model, *sizes("--shape", model), *on)
    if analysis.returncode:
        left_out.append(f"{name}: {first_line(analysis)}")
        continue
    bound = json.loads(analysis.stdout)["bounds"][0]
    for runtime in RUNTIMES:
        found = [e for e in bound["estimates"] if e["runtime"] == runtime]
        if found:
            bounds[model, runtime] = (bound["least_seconds"], found[0])
        else:
            left_out.append(f"{name}, {runtime}: no estimate for {bound['dtype']}")

times = {}
for _ in range(ROUNDS):
    for model, runtime in list(bounds):
        seconds, reason = measured(model, runtime)
        if seconds is None:
            left_out.append(f"{pathlib.Path(model).stem}, {runtime}: {reason}")
            del bounds[model, runtime]
        else:
            times.setdefault((model, runtime), []).append(seconds)

rows, errors, above = [], {r: [] for r in RUNTIMES}, []
for (model, runtime), (least, estimate) in bounds.items():
    all_times = times[model, runtime]
    best = min(all_times)
    error = estimate["seconds"] / best - 1
    errors[runtime].append(abs(error))
    name = pathlib.Path(model).stem
    if least > best:
        above.append(f"{name}, {runtime}")
    kinds = ", ".join(estimate.get("uncalibrated_types", []))
    spread = (max(all_times) - best) / best
    rows.append((name, runtime, least, estimate["seconds"], best, spread, error, kinds))

versions = {e["runtime"]: e["version"] for _, e in bounds.values()}
print(f"{time.strftime('%Y-%m-%d')}, {', '.join(versions.values())}, one thread.\n")
print("| model | runtime | at least | estimate | measured | spread | error | not calibrated |")
print("| --- | --- | ---: | ---: | ---: | ---: | ---: | --- |")
for name, runtime, *figures, spread, error, kinds in rows:
    cells = " | ".join(f"{t * 1e3:.3f} ms" for t in figures)
    print(f"| {name} | {runtime} | {cells} | {spread:.0%} | {error:+.0%} | {kinds} |")
for runtime, found in errors.items():
    if found:
        print(f"\n{runtime}: {len(found)} models, median absolute error {statistics.median(found):.1%}")
print("\nBounds above the measured time: " + (", ".join(above) or "none") + ".\n")
for line in left_out:
    print(f"- omitted: {line}")
