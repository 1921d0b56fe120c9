#!/usr/bin/env python3
"""Predicted against measured latency, batch 1, one thread, of the models in models/ and tests/models/.

    pip install onnxruntime
    cargo build --release
    python benches/prediction.py target/release/rooflens [CONFIG] [--neighbour] > table.md

Measures the ceilings and calibrates both runtimes, which takes minutes, unless CONFIG is a
configuration folder in which `hw measure --calibrate --save` was run before. None of the models is part
of a calibration. Sizes that a model leaves open are one, but for a network that takes no image of one
pixel; weights that its file lacks are random. Each
model is measured in three rounds, and the least median counts: what disturbs a run makes it slower.
Models that a runtime or the estimate cannot take are named. Prints Markdown. Run it on an idle machine.

With --neighbour a process works half of the time, in turns of 5 ms to 2 s, while the machine is calibrated; it rests while
the models are measured, as what is estimated is an undisturbed run. Ceilings that vary are kept then, and it is said.
"""
import glob
import json
import multiprocessing
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import time

ROUNDS = 3
SECONDS = "1"
RUNTIMES = ["tract", "ort"]
SIZES = {"unet": "input=1x3x128x128"}
neighbour = "--neighbour" in sys.argv
arguments = [a for a in sys.argv[1:] if a != "--neighbour"]
rooflens = os.path.abspath(arguments[0])
root = pathlib.Path(__file__).resolve().parent.parent
models = sorted(glob.glob(f"{root}/models/*.onnx") + glob.glob(f"{root}/tests/models/*.onnx"))
scratch = tempfile.TemporaryDirectory()
config = os.path.abspath(arguments[1]) if len(arguments) > 1 else scratch.name
environment = {**os.environ, "XDG_CONFIG_HOME": config}


machines = []


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
    machines[:] = measurement["run"]["machines"]
    service = measurement["service"]["percentiles"]
    return next(q["seconds"] for q in service if q["quantile"] == 0.5), None


def half_a_core():
    """Works and rests in turn, for ever: each turn as long as the other in the mean."""
    turns = random.Random(1)
    while True:
        end = time.monotonic() + 10 ** turns.uniform(-2.3, 0.3)
        while time.monotonic() < end:
            sum(range(1000))
        time.sleep(10 ** turns.uniform(-2.3, 0.3))


def calibrated():
    """Calibrates both runtimes; whether the ceilings settled."""
    words = ["hw", "measure", "--calibrate", "--runtime", "tract", "--runtime", "ort", "--save"]
    run = call(*words, *(["--anyway"] if neighbour else []))
    steady = run.returncode == 0 and not neighbour
    if run.returncode == 1:
        print(run.stdout, "kept anyway\n", sep="", file=sys.stderr)
        run = call(*words, "--anyway")
    print(run.stdout or run.stderr, file=sys.stderr)
    if run.returncode:
        sys.exit("the machine could not be measured")
    return steady


steady = None
if len(arguments) < 2:
    if neighbour:
        other = multiprocessing.Process(target=half_a_core, daemon=True)
        other.start()
    steady = calibrated()
    if neighbour:
        other.terminate()

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
            bounds[model, runtime] = (bound["lower_bound_seconds"], found[0])
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
promised = {e["runtime"]: e["held_out_error"] for _, e in bounds.values()}
machine = machines[0] if machines else {}
virtual = ", virtual" if machine.get("virtual") else ""
print(f"{time.strftime('%Y-%m-%d')}, {', '.join(versions.values())}, one thread.")
print(f"{machine.get('cpu')}, {machine.get('threads')} threads{virtual}, {machine.get('kernel')}.")
if neighbour:
    print("Calibrated beside a neighbour that worked half of the time.")
if steady is not None:
    print("Ceilings varied by 10 % at most." if steady else "Ceilings varied by more than 10 % and were kept.")
print(f"Printed with the estimates: {', '.join(f'{r} ± {e:.0%}' for r, e in promised.items())}.\n")
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
