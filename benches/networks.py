#!/usr/bin/env python3
"""Detectors, segmentation, eight-bit exports and decoders, against onnxruntime's shapes and torch's counts.

    pip install -r models/requirements.txt
    python benches/networks.py target/release/rooflens [NAME ...]

Exports the networks of `tests/networks/networks.py` with random weights, runs each in onnxruntime without
optimisations, and compares MACs of every product with the shapes seen there, MACs of the whole with torch's
counter, parameters with torch's count, the cache with the configuration, the shapes of all outputs, and what
`--dim` gives with what `--shape` gives. Numbers of boxes, which the contents of tensors decide, are given as seen.
Prints a Markdown table; exit code 1 where something differs.
"""
import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime
import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests" / "networks"))
import networks  # noqa: E402
from networks import observe  # noqa: E402


def analyzed(rooflens, path, arguments):
    run = subprocess.run([rooflens, "analyze", path, "--format", "json", *arguments],
                         capture_output=True, text=True)
    if run.returncode:
        raise RuntimeError(run.stderr.splitlines()[0])
    return json.loads(run.stdout)


def products(report):
    """Products with their MACs, and whether the data decide them."""
    for op in report["ops"]:
        kind = op["op_type"].removeprefix("com.microsoft.")
        if kind in observe.COUNTED:
            yield kind, op["macs"], op


def settled(rooflens, path, arguments, rows):
    """The analysis where what the data decided is given: boxes, by the rows that products really had."""
    report, symbols = analyzed(rooflens, path, arguments), {}
    for (_, _, op), (_, _, lead) in zip(products(report), rows):
        if op["status"] == "bound":
            name = re.search(r"\b[a-z]+(?:\.\d+)+", op["outputs"][0]["symbolic"])
            symbols |= {name[0]: lead} if name else {}
    given = [f"--dim={s}={n}" for s, n in symbols.items()]
    return analyzed(rooflens, path, [*arguments, *given]) if given else report


def differences(net, report, other, at, rows, outputs):
    """What is wrong with a report, in words."""
    totals = report["totals"]
    ours = [(kind, macs) for kind, macs, _ in products(report)]
    if len(ours) != len(rows):
        yield f"{len(ours)} products, not {len(rows)}"
    wrong = sum(a != b[:2] for a, b in zip(ours, rows))
    if wrong:
        yield f"{wrong} products differ"
    seen = sum(macs for _, macs, _ in rows)
    if totals["macs"] != seen:
        yield f"MACs {totals['macs']:,} are not {seen:,}"
    # Rounding decides whether torch itself keeps a box, so that it may count others.
    by_torch = seen if net.boxes else net.macs(at)
    if by_torch != seen:
        yield f"torch counts {by_torch:,} MACs, onnxruntime {seen:,}"
    if totals["params"] != net.params:
        yield f"{totals['params']:,} parameters, not {net.params:,}"
    if report["memory"]["kv_cache_bytes"] != net.cache(at):
        yield f"a cache of {report['memory']['kv_cache_bytes']} bytes, not {net.cache(at)}"
    if net.complete and report["coverage"]["percent"] != 100:
        yield f"coverage {report['coverage']['percent']:.1f} %"
    shapes = [o["shape"] for o in report["outputs"]]
    if any(s != o and None not in s for s, o in zip(shapes, outputs)):
        yield "shapes of outputs differ"
    if other is not None:
        same = all(report[k] == other[k] for k in ("totals", "memory"))
        if not same or shapes != [o["shape"] for o in other["outputs"]]:
            yield "--dim and --shape differ"


def checked(rooflens, name, net, folder):
    """A row for each choice of sizes, and whether anything is wrong."""
    path, failed = folder / "network.onnx", False
    path.write_bytes(net.model.SerializeToString())
    for at in net.sizes:
        rows, outputs = networks.observed(net, at)
        shapes, symbols = networks.arguments(net, at)
        try:
            report = settled(rooflens, path, shapes, rows)
            other = settled(rooflens, path, symbols, rows) if at else None
            found = list(differences(net, report, other, at, rows, outputs))
        except RuntimeError as error:
            found = [str(error)]
        sizes = ", ".join(f"{k} = {v}" for k, v in at.items() if "+" not in k)
        macs = sum(m for _, m, _ in rows)
        print(f"| {name} | {sizes} | {len(rows)} | {macs:,} | {net.params:,} | {'; '.join(found) or 'equal'} |",
              flush=True)
        failed |= bool(found)
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rooflens")
    parser.add_argument("names", nargs="*", metavar="NAME")
    args = parser.parse_args()
    onnxruntime.set_default_logger_severity(4)
    print(f"torch {torch.__version__}, onnxruntime {onnxruntime.__version__}, onnx {onnx.__version__}\n")
    print("| network | sizes | products | MACs | parameters | rooflens |")
    print("| --- | --- | ---: | ---: | ---: | --- |")
    failed = False
    for name in args.names or networks.NETWORKS:
        torch.manual_seed(0)
        np.random.seed(0)
        with tempfile.TemporaryDirectory() as folder:
            failed |= checked(args.rooflens, name, networks.NETWORKS[name](), pathlib.Path(folder))
    sys.exit(failed)


if __name__ == "__main__":
    main()
