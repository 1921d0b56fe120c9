#!/usr/bin/env python3
"""One network of PyTorch in every format: the same multiply-accumulates in each file, and in torch's own counter.

    pip install torch==2.9.1 torchvision==0.24.1 transformers==4.57.1 onnx onnxscript
    python benches/formats_torch.py make FOLDER [NAME ...]
    python benches/formats_torch.py table target/release/rooflens FOLDER

`make` builds networks of torchvision and transformers without trained weights and saves each traced, scripted,
scripted and frozen, exported (`.pt2`), and as ONNX by both exporters of torch, with what `FlopCounterMode` counts in a
run. `table` counts each file at the sizes of that run and prints a Markdown table: MACs, and where a file differs,
why. Exit code 1 where a file is not read whole, or where a difference has no reason in `REASONS`.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import warnings

NETWORKS = ["resnet18", "resnet50", "mobilenet_v2", "efficientnet_b0", "swin_t", "vit_b_16", "faster_rcnn", "deeplabv3",
            "r3d_18", "lstm_tagger", "bert_base", "gpt2", "t5_small", "resnet18_int8"]
FORMATS = ["traced.pt", "scripted.pt", "frozen.pt", "pt2", "onnx", "dynamo.onnx"]
# Why a file of a network may differ from the others, by network and format.
REASONS = {
    ("lstm_tagger", "dynamo.onnx"): "written out step by step; the product with the first state, which is zero, folds",
    ("swin_t", "dynamo.onnx"): "beside a loop of a roll whose cost is not known",
}


def untrained():
    """Weights need no values here: what would draw them does nothing."""
    import torch

    for name in ("kaiming_normal_", "kaiming_uniform_", "normal_", "trunc_normal_", "uniform_", "xavier_uniform_",
                 "xavier_normal_", "orthogonal_"):
        setattr(torch.nn.init, name, lambda tensor, *args, **kwargs: tensor)


def build(name):
    """A network and its inputs."""
    import torch
    import torchvision

    class Tagger(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = torch.nn.Embedding(8000, 128)
            self.lstm = torch.nn.LSTM(128, 128, num_layers=2, bidirectional=True, batch_first=True)
            self.tags = torch.nn.Linear(256, 20)

        def forward(self, words):
            return self.tags(self.lstm(self.embed(words))[0])

    image, ids = torch.zeros(1, 3, 224, 224), torch.ones(1, 128, dtype=torch.int64)
    models = torchvision.models
    if name == "faster_rcnn":
        return models.detection.fasterrcnn_mobilenet_v3_large_320_fpn(weights=None, weights_backbone=None), ([image[0]],)
    if name == "deeplabv3":
        return models.segmentation.deeplabv3_mobilenet_v3_large(weights=None, weights_backbone=None), (image,)
    if name == "r3d_18":
        return models.video.r3d_18(weights=None), (torch.zeros(1, 3, 8, 112, 112),)
    if name == "resnet18_int8":
        return models.quantization.resnet18(weights=None, quantize=True), (image,)
    if name == "lstm_tagger":
        return Tagger(), (ids[:, :32],)
    if name in ("bert_base", "gpt2", "t5_small"):
        import transformers

        class Plain(torch.nn.Module):
            """Only the tensors that count; the mask is given, as not every exporter follows how it is made."""

            def __init__(self, model, kind):
                super().__init__()
                self.model, self.kind = model, kind
                self.register_buffer("mask", torch.zeros(1, 1, 128, 128))

            def forward(self, ids):
                more = {}
                if self.kind == "t5_small":
                    more = {"decoder_input_ids": ids}
                elif self.kind == "gpt2":
                    more = {"attention_mask": self.mask}
                return self.model(input_ids=ids, use_cache=False, return_dict=False, **more)[0]

        if name == "bert_base":
            model = transformers.BertModel(transformers.BertConfig(), add_pooling_layer=False)
        elif name == "gpt2":
            model = transformers.GPT2LMHeadModel(transformers.GPT2Config())
        else:
            config = transformers.T5Config(d_model=512, d_ff=2048, num_layers=6, num_heads=8, decoder_start_token_id=0)
            model = transformers.T5ForConditionalGeneration(config)
        return Plain(model, name), (ids,)
    return getattr(models, name)(weights=None), (image,)


def make(folder, name):
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    warnings.filterwarnings("ignore")
    folder.mkdir(parents=True, exist_ok=True)
    untrained()
    model, inputs = build(name)
    model.eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(*inputs)
    tensors = inputs[0] if isinstance(inputs[0], list) else inputs
    truth = {"flops": counter.get_total_flops(), "inputs": [list(x.shape) for x in tensors]}
    (folder / f"{name}.truth.json").write_text(json.dumps(truth))

    def frozen(path):
        torch.jit.freeze(torch.jit.script(model)).save(path)

    writers = {
        "traced.pt": lambda path: torch.jit.trace(model, inputs, strict=False, check_trace=False).save(path),
        "scripted.pt": lambda path: torch.jit.script(model).save(path),
        "frozen.pt": frozen,
        "pt2": lambda path: torch.export.save(torch.export.export(model, inputs, strict=False), path),
        "onnx": lambda path: torch.onnx.export(model, inputs, path, opset_version=17, dynamo=False),
        "dynamo.onnx": lambda path: torch.onnx.export(model, inputs, path, dynamo=True, verbose=False),
    }
    for form, write in writers.items():
        path = folder / f"{name}.{form}"
        try:
            with torch.no_grad():
                write(str(path))
        except Exception as error:  # Not every network can be had in every format.
            path.unlink(missing_ok=True)
            print(f"{path.name}: {type(error).__name__}: {(str(error).strip().splitlines() or [''])[0][:120]}", file=sys.stderr)


def analyzed(rooflens, path, inputs):
    shapes = [part for sizes in inputs for part in ("--shape", "x".join(map(str, sizes)))]
    for given in (shapes, []):
        run = subprocess.run([rooflens, "analyze", str(path), "--format", "json", *given], capture_output=True, text=True)
        if run.returncode == 0:
            return json.loads(run.stdout), ""
    return None, run.stderr.strip().splitlines()[0]


def cell(rooflens, path, truth, due):
    """What stands in the table, the count, and whether something is wrong."""
    report, error = analyzed(rooflens, path, truth["inputs"])
    if report is None:
        print(f"{path.name}: {error}", file=sys.stderr)
        return "refused", None, 1
    macs, coverage = report["totals"]["macs"], report["coverage"]["percent"]
    reason = REASONS.get((path.name.split(".")[0], path.name.split(".", 1)[1]))
    if coverage == 100.0 and due in (None, macs):
        return f"{macs:,}", macs, 0
    if reason:
        return f"{macs:,} ({reason})", macs, 0
    print(f"{path.name}: MACs {macs}, others {due}, coverage {coverage} %", file=sys.stderr)
    return f"{macs:,}" if macs else "unknown", macs, 1


def table(rooflens, folder):
    print("| network | " + " | ".join(FORMATS) + " | FlopCounterMode |\n| --- |" + " ---: |" * (len(FORMATS) + 1))
    wrong = 0
    for name in NETWORKS:
        truth = folder / f"{name}.truth.json"
        if not truth.exists():
            continue
        truth = json.loads(truth.read_text())
        cells, due = [], None
        for form in FORMATS:
            path = folder / f"{name}.{form}"
            if not path.exists():
                cells.append("–")
                continue
            text, macs, bad = cell(rooflens, path, truth, due)
            due = due or macs
            wrong += bad
            cells.append(text)
        print(f"| {name} | " + " | ".join(cells) + f" | {truth['flops'] // 2:,} |", flush=True)
    return wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["make", "table"])
    parser.add_argument("arguments", nargs="+")
    given = parser.parse_args()
    if given.command == "table":
        binary, folder = given.arguments
        sys.exit(1 if table(binary, pathlib.Path(folder)) else 0)
    folder, *names = given.arguments
    if len(names) == 1:
        make(pathlib.Path(folder), names[0])
        return
    for name in names or NETWORKS:
        # A process each: what one network leaves in memory is not the next one's.
        subprocess.run([sys.executable, __file__, "make", folder, name], check=False)


main()
