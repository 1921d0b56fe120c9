"""Time rooflens beside onnx-tool on large models and print a table of both.

    pip install torch torchvision onnx onnxscript onnx-tool==1.0.1
    cargo build --release
    python benches/compare.py DIR

The two run in turn, each as a whole process with its output thrown away; the table has medians. `call` is
onnx-tool's `model_profile` alone, without the start of Python and its imports. Memory is the most resident
at once, mapped pages of files included; of rooflens, where it writes JSON. `read` is how much of the model's
files lies in memory after a run of rooflens that began with none of them there. Models that DIR lacks are
made first, with random weights: ResNet-50 and VGG-16 by models/make.py, the decoder by benches/decoder.py,
the graph of 100,000 nodes by benches/scale.rs. Where onnx-tool fails, or takes longer than `--limit` and is
stopped, it runs once.
"""

import argparse
import ctypes
import fcntl
import mmap
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
ROWS = {
    "resnet50": "ResNet-50",
    "vgg16": "VGG-16",
    "dynamo_decoder": "decoder, dynamo export",
    "nodes_100k": "generated",
}
# Sizes and types of a model's inputs, open sizes one: what rooflens takes where nothing is said.
INPUTS = """
import json, sys
import onnx
model = onnx.load(sys.argv[1], load_external_data=False)
names = {1: "float32", 7: "int64", 10: "float16"}
size = lambda d: d.dim_value or (int(d.dim_param) if d.dim_param.isdigit() else 1)
tensors = [(value.name, value.type.tensor_type) for value in model.graph.input]
given = {name: ([size(d) for d in t.shape.dim], names[t.elem_type]) for name, t in tensors}
print(json.dumps(given), len(model.graph.node), sep="\\n")
"""
RIVAL = """
import json, sys, time
import numpy, onnx_tool
given = {name: numpy.ones(sizes, dtype) for name, (sizes, dtype) in json.loads(sys.argv[2]).items()}
start = time.perf_counter()
onnx_tool.model_profile(sys.argv[1], given)
print("took", time.perf_counter() - start, file=sys.stderr)
"""


def make(name, path):
    """The model of this name, if it is not there."""
    if path.exists():
        return
    if name in ("resnet50", "vgg16"):
        sys.path.insert(0, str(ROOT / "models"))
        import make

        path.write_bytes(make.export(name).SerializeToString())
    elif name == "dynamo_decoder":
        subprocess.run([sys.executable, ROOT / "benches/decoder.py", path.parent], check=True)
    else:
        bench = ["cargo", "bench", "--locked", "--bench", "scale", "--", "--test"]
        subprocess.run(bench, check=True, cwd=ROOT, env=os.environ | {"SCALE_MODELS": path.parent})


def timed(command, limit):
    """Seconds, peak memory in MiB, the words on standard error, and how it ended: well, late or failed."""
    with tempfile.TemporaryFile() as errors:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)
        late = threading.Event()
        timer = threading.Timer(limit, lambda: (late.set(), process.kill()))
        timer.start()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        timer.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        errors.seek(0)
        words = errors.read().decode(errors="replace")
    end = "late" if late.is_set() else "failed" if process.returncode else "well"
    if end == "failed":
        print(words, file=sys.stderr)
    return seconds, usage.ru_maxrss / 1024, words, end


def resident(path):
    """Bytes of a file that lie in memory."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE) as map:
        pages = -(-len(map) // mmap.PAGESIZE)
        found = (ctypes.c_ubyte * pages)()
        start = ctypes.addressof(ctypes.c_char.from_buffer(map))
        if libc.mincore(ctypes.c_void_p(start), ctypes.c_size_t(len(map)), found):
            sys.exit(f"mincore: {os.strerror(ctypes.get_errno())}")
        return sum(page & 1 for page in bytes(found)) * mmap.PAGESIZE


def put_out(path):
    """Drops a file's pages from memory."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def read(command, files):
    """Bytes of the files that one run brings into memory, none of which was there."""
    for path in files:
        put_out(path)
    left = sum(resident(path) for path in files)
    timed(command, 60)
    return sum(resident(path) for path in files) - left


def held(program, path):
    """The most memory in MiB that a run of rooflens takes, its report as JSON: a pipe of one page stops it
    before it ends. What `wait` tells of a process this small may be the memory of the one that began it."""
    command = [program, "analyze", path, "--format", "json"]
    out, into = os.pipe()
    fcntl.fcntl(into, fcntl.F_SETPIPE_SZ, mmap.PAGESIZE)
    process = subprocess.Popen(command, stdout=into)
    os.close(into)
    with open(out, "rb") as out:
        out.read(1)
        status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
        out.read()
    process.wait()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def shown(seconds):
    return f"{seconds:.2f} s" if seconds >= 1 else f"{1000 * seconds:.1f} ms"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--rooflens", default=ROOT / "target/release/rooflens", type=pathlib.Path)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--limit", type=float, default=40, help="seconds that onnx-tool gets")
    parser.add_argument("--only-make", action="store_true", help="make the models and stop")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    for name in ROWS:
        make(name, args.folder / f"{name}.onnx")
    if args.only_make:
        return
    print("| model | size | rooflens | onnx-tool (call) | ratio | peak memory | read |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, title in ROWS.items():
        path = args.folder / f"{name}.onnx"
        files = [f for f in (path, path.with_name(path.name + ".data")) if f.exists()]
        told = subprocess.check_output([sys.executable, "-c", INPUTS, path], text=True)
        given, nodes = told.splitlines()
        ours = [args.rooflens, "analyze", path]
        theirs = [sys.executable, "-c", RIVAL, path, given]
        touched = read(ours, files)
        fast, slow, calls, most, end = [], [], [], 0, "well"
        while len(fast) < args.runs:
            seconds, _, _, how = timed(ours, 60)
            if how != "well":
                sys.exit(f"rooflens: {how}")
            fast.append(seconds)
            if end != "well":
                continue
            seconds, memory, words, end = timed(theirs, args.limit)
            slow.append(seconds)
            most = max(most, memory)
            calls += [float(line.split()[1]) for line in words.splitlines() if line.startswith("took")]
        ours = statistics.median(fast)
        if end == "late":
            theirs, ratio = f"none after {args.limit:.0f} s", f"below 1/{args.limit / ours:,.0f}"
        elif end == "failed":
            theirs, ratio = f"failed after {shown(slow[-1])}", "–"
        else:
            median = statistics.median(slow)
            theirs = f"{shown(median)} ({shown(statistics.median(calls))})"
            ratio = f"1/{median / ours:,.0f}"
        size = sum(f.stat().st_size for f in files)
        size = f"{size / 1e9:.1f} GB" if size > 1e9 else f"{size / 1e6:.0f} MB"
        print(
            f"| {title}, {int(nodes):,} nodes | {size} | {shown(ours)} | {theirs} | {ratio} "
            f"| {held(args.rooflens, path):,.0f} MiB, {most:,.0f} MiB | {touched / 1e6:.1f} MB |",
            flush=True,
        )


if __name__ == "__main__":
    main()
