"""Ceilings that `rooflens hw measure` finds, beside public tools on the same machine.

likwid-bench (load, copy, stream) and mbw for bandwidth, OpenBLAS through numpy for f32. Tools take
turns in five rounds, so that a machine that drifts does so for all; ratios are of figures of the same
round, and their median is printed. Bandwidths count the bytes that the loop names;
the line a store first fetches is not counted, by none of the tools. Run on an idle machine:

    apt-get install likwid mbw; pip install numpy threadpoolctl
    cargo build --release --no-default-features --features cli
    python benches/ceilings.py target/release/rooflens > table.md
"""

import json
import os
import re
import statistics
import subprocess
import sys
import time

ROUNDS = 5
MEGABYTES = 384
BLAS = """
import json, sys, time, numpy, threadpoolctl
n = 1536
a, b = (numpy.random.default_rng(i).random((n, n), dtype=numpy.float32) for i in (1, 2))
out = numpy.empty((n, n), dtype=numpy.float32)
info = threadpoolctl.threadpool_info()
def rate(threads):
    with threadpoolctl.threadpool_limits(threads):
        numpy.matmul(a, b, out=out)
        times = []
        for _ in range(7):
            start = time.perf_counter()
            numpy.matmul(a, b, out=out)
            times.append(time.perf_counter() - start)
    return 2.0 * n**3 / sorted(times)[3]
print(json.dumps({"info": info[0], "one": rate(1), "all": rate(int(sys.argv[1]))}))
"""


def run(command, **more):
    done = subprocess.run(command, capture_output=True, text=True, **more)
    if done.returncode:
        sys.exit(f"{command}: {done.stderr or done.stdout}")
    return done.stdout


def rooflens(binary):
    """Figures by (threads, what)."""
    survey = json.loads(run([binary, "hw", "measure", "--repeats", "3", "--format", "json"]))
    found = {}
    for r in survey["readings"]:
        name = {"arithmetic": "peak", "product": "gemm"}.get(r["what"], r.get("pattern"))
        if r["what"] == "stream" and r["level"] != "DRAM" or r.get("dtype", "f32") != "f32":
            continue
        found["all" if r["threads"] > 1 else "one", name] = r["per_second"]["median"]
    return found


def likwid(test, threads):
    text = run(["likwid-bench", "-t", test, "-w", f"N:{MEGABYTES}MB:{threads}", "-i", "20"])
    return float(re.search(r"MByte/s:\s*([\d.]+)", text)[1]) * 1e6


def mbw():
    """Bytes read and written by its copy loop, one thread."""
    text = run(["mbw", "-q", "-n", "5", "-t", "1", str(MEGABYTES // 2)])
    return 2 * float(re.search(r"AVG.*Copy:\s*([\d.]+) MiB/s", text)[1]) * 2**20


def blas(threads):
    clean = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS")}
    return json.loads(run([sys.executable, "-c", BLAS, str(threads)], env=clean))


def main():
    binary = os.path.abspath(sys.argv[1])
    threads = len(os.sched_getaffinity(0))
    flags = open("/proc/cpuinfo").read()
    wide = "_avx512" if "avx512f" in flags else "_avx"
    ours, theirs, info = {}, {}, {}
    for _ in range(ROUNDS):
        for key, value in rooflens(binary).items():
            ours.setdefault(key, []).append(value)
        for name, count in [("one", 1), ("all", threads)]:
            for what, test in [("read", "load"), ("copy", "copy"), ("triad", "stream")]:
                key = (name, what, f"likwid-bench {test}{wide}")
                theirs.setdefault(key, []).append(likwid(test + wide, count))
        theirs.setdefault(("one", "copy", "mbw -t 1"), []).append(mbw())
        product = blas(threads)
        info = product["info"]
        for name in ("one", "all"):
            for what in ("gemm", "peak"):
                theirs.setdefault((name, what, "OpenBLAS sgemm"), []).append(product[name])
    model = re.search(r"model name\s*: (.*)", flags)[1]
    print(f"{time.strftime('%Y-%m-%d')}, {model}, {threads} threads; OpenBLAS {info['version']}, "
          f"kernel {info['architecture']}; arrays of {MEGABYTES} MB together.\n")
    print(f"| threads | what | rooflens | spread | public tool | its figure | spread | ratio |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for (name, what, tool), values in theirs.items():
        mine = ours[name, what]
        middle, other = statistics.median(mine), statistics.median(values)
        ratio = statistics.median(m / v for m, v in zip(mine, values))
        spread = lambda v: f"{100 * (max(v) - min(v)) / statistics.median(v):.1f} %"
        unit = "GFLOP/s" if what in ("gemm", "peak") else "GB/s"
        print(f"| {name} | {what} | {middle / 1e9:.1f} {unit} | {spread(mine)} | {tool} | "
              f"{other / 1e9:.1f} {unit} | {spread(values)} | {ratio:.2f} |")


main()
