#!/usr/bin/env python3
"""Published measurements over the least time that rooflens gives them: none may be below one.

    python benches/evidence.py target/release/rooflens MEASUREMENTS.jsonl [--models FOLDER] [--all]

A line of MEASUREMENTS is one published result: `device_id`, `net`, `dtype`, `batch`, `input_size` or
`seq_len`, `instances`, `n_devices`, and `latency_ms` or `throughput_per_s`. Networks are graphs of models/,
of tests/models/ and of FOLDER, which benches/evidence_models.py fills. Prints the ratio of each line that can
be counted, or with --all why one cannot be; exit code 1 where a ratio is below one without a reason.
"""
import argparse
import collections
import functools
import json
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Names of graphs that differ from those of networks.
FILES = {"convnext_tiny": "convnext_tiny_dynamo", "shufflenet_v2_x1_0": "shufflenet_v2"}
# Least time per sample falls with the batch: where the batch is not known, a large one keeps the bound.
UNKNOWN_BATCH = 1024
# What the line itself says that puts it outside a bound.
REASONS = {
    "variable length": "samples are shorter than counted: padding was removed",
    "labels of these two rows are swapped": "the source swapped two labels",
}


def graph(net, folders):
    """The file of a network."""
    for name in (net, FILES.get(net, net)):
        for folder in folders:
            if (folder / f"{name}.onnx").exists():
                return folder / f"{name}.onnx"
    return None


@functools.cache
def first_input(binary, path):
    """Name and sizes of a graph's first input."""
    command = [binary, "analyze", path, "--by", "total", "--format", "json"]
    tensor = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)["model"]["inputs"][0]
    return tensor["name"], tensor["shape"]


@functools.cache
def bound(binary, path, device, dtype, batch, size, seq):
    """Least seconds and what they are of; or why there are none."""
    command = [binary, "analyze", path, "--on", device, "--dtype", dtype, "--format", "json", "--batch", str(batch)]
    if seq:
        command += ["--dim", f"seq={seq}"]
    elif size:
        name, shape = first_input(binary, path)
        if shape[2] != size:
            command = command[:-2] + ["--shape", f"{name}={batch}x3x{size}x{size}"]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode:
        return None, run.stderr.splitlines()[0].removeprefix("error: ") if run.stderr else "failed"
    report = json.loads(run.stdout)
    if report["coverage"]["percent"] < 100:
        return None, "not all nodes are counted"
    return report["bounds"][0], None


def measured(row):
    """Seconds of one batch on one device, the batch, and why not."""
    batch = row["batch"] or (UNKNOWN_BATCH if row["throughput_per_s"] else None)
    if row["unit"] not in ("images", "samples", "sequences", "sentences", "inferences"):
        return None, None, f"counted in {row['unit']}"
    if batch is None or row["instances"] is None and not row["throughput_per_s"]:
        return None, None, "no batch"
    if row["throughput_per_s"]:
        batch *= row["instances"] or 1
        return batch * (row["n_devices"] or 1) / row["throughput_per_s"], batch, None
    return row["latency_ms"] / 1e3, batch, None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary")
    parser.add_argument("measurements", type=pathlib.Path)
    parser.add_argument("--models", type=pathlib.Path, action="append", default=[])
    parser.add_argument("--all", action="store_true", help="also list lines that cannot be counted")
    args = parser.parse_args()
    folders = [ROOT / "models", *args.models, ROOT / "tests" / "models"]
    counted, skipped, below = [], collections.Counter(), []
    for line in args.measurements.read_text().splitlines():
        row = json.loads(line)
        path = graph(row["net"], folders) if row["net"] else None
        seconds, batch, why = measured(row)
        found = None
        if path is None:
            why = f"no graph of {row['net'] or row['model']}"
        elif why is None:
            found, why = bound(args.binary, path, row["device_id"], row["dtype"], batch, row["input_size"], row["seq_len"])
        if why:
            skipped[why] += 1
            if args.all:
                print(f"{'–':>8}  {row['device_id']:<28} {row['net'] or row['model']}: {why}")
            continue
        ratio = seconds / found["lower_bound_seconds"]
        reason = next((r for mark, r in REASONS.items() if mark in (row["note"] or "")), None)
        counted.append((ratio, row, reason))
        print(f"{ratio:8.2f}  {row['device_id']:<28} {row['net']:<20} {row['dtype']:<5} ×{batch:<5} {row['framework']}"
              + (f"  [{reason}]" if reason and ratio < 1 else ""))
        if ratio < 1 and not reason:
            below.append((ratio, row))
    ratios = sorted(r for r, _, reason in counted if not reason)
    print(f"\n{len(counted)} counted; {sum(r < 1 for r, _, _ in counted)} below one, {len(below)} of these without a reason")
    if ratios:
        print(f"least {ratios[0]:.2f}, median {ratios[len(ratios) // 2]:.1f} of {len(ratios)} that nothing speaks against")
    for why, n in skipped.most_common():
        print(f"not counted: {n:4}  {why}")
    for ratio, row in below:
        print(f"BELOW ONE: {ratio:.3f}  {row['id']} {row['device_id']} {row['net']} {row['dtype']}")
    raise SystemExit(bool(below))


if __name__ == "__main__":
    main()
