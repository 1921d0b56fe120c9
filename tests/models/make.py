"""Export networks of many kinds, and write down the MACs of every node from shapes seen at run time.

    pip install -r models/requirements.txt
    python tests/models/make.py            # graph-only files and NAME.tsv beside this script

Nothing is downloaded: weights are random. NAME.tsv has a line for each convolution and matrix product,
in the order of the nodes: its operator and its MACs, computed from the shapes that onnxruntime really produced when the model
ran with its optimiser off; the last line names the inputs' shapes. Legacy and dynamo exports, fp32,
fp16, int8 with Q/DQ nodes and int4 weights are here so that the same network can be compared.
"""

import argparse
import io
import math
import pathlib
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime
import torch
import torchvision
from onnx import TensorProto, helper

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent.parent / "models"))
import observe  # noqa: E402
from make import strip  # noqa: E402


def legacy(model, inputs, names, axes=None, opset=17, **options):
    buffer = io.BytesIO()
    torch.onnx.export(model, inputs, buffer, input_names=names, dynamic_axes=axes or {},
                      opset_version=opset, dynamo=False, **options)
    return onnx.load_from_string(buffer.getvalue())


def dynamo(model, inputs, names, shapes=None):
    program = torch.onnx.export(model, inputs, input_names=names, dynamic_shapes=shapes,
                                dynamo=True, verbose=False)
    return program.model_proto


def vision(build, size=224, export=legacy, dynamic=True, **options):
    model = build(weights=None, **options).eval()
    image = (torch.randn(2 if dynamic else 1, 3, size, size),)
    if export is dynamo:
        return dynamo(model, image, ["input"], [{0: torch.export.Dim("batch")}])
    return legacy(model, image, ["input"], {"input": {0: "batch"}} if dynamic else None)


def detector():
    """SSDlite: anchors, box decoding, and suppression of overlapping boxes."""
    build = torchvision.models.detection.ssdlite320_mobilenet_v3_large
    model = build(weights=None, weights_backbone=None).eval()
    return legacy(model, (torch.rand(1, 3, 320, 320),), ["input"])


class UNet(torch.nn.Module):
    """Two levels down, two up, with transposed convolutions and joined features."""

    def __init__(self, width=16):
        super().__init__()

        def block(cin, cout):
            layers = [torch.nn.Conv2d(cin, cout, 3, padding=1), torch.nn.BatchNorm2d(cout),
                      torch.nn.ReLU(), torch.nn.Conv2d(cout, cout, 3, padding=1), torch.nn.ReLU()]
            return torch.nn.Sequential(*layers)

        self.down = torch.nn.ModuleList([block(3, width), block(width, 2 * width)])
        self.middle = block(2 * width, 4 * width)
        self.up = torch.nn.ModuleList(
            [torch.nn.ConvTranspose2d(4 * width, 2 * width, 2, stride=2),
             torch.nn.ConvTranspose2d(2 * width, width, 2, stride=2)])
        self.join = torch.nn.ModuleList([block(4 * width, 2 * width), block(2 * width, width)])
        self.head = torch.nn.Conv2d(width, 5, 1)

    def forward(self, x):
        skips = []
        for level in self.down:
            x = level(x)
            skips.append(x)
            x = torch.nn.functional.max_pool2d(x, 2)
        x = self.middle(x)
        for up, join, skip in zip(self.up, self.join, reversed(skips)):
            x = join(torch.cat([up(x), skip], 1))
        return self.head(x)


def unet():
    model = UNet().eval()
    return legacy(model, (torch.randn(2, 3, 64, 96),), ["input"],
                  {"input": {0: "batch", 2: "height", 3: "width"}})


class RMSNorm(torch.nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(hidden))

    def forward(self, x):
        wide = x.float()
        scaled = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + 1e-6)
        return scaled.to(x.dtype) * self.weight


class Decoder(torch.nn.Module):
    """A Llama-style decoder: RMS norm, rotary positions, grouped queries, gated MLP, and a cache."""

    def __init__(self, layers, hidden, heads, kv_heads, inner, words):
        super().__init__()
        self.heads, self.kv_heads, self.size = heads, kv_heads, hidden // heads
        self.embed = torch.nn.Embedding(words, hidden)

        def linear(rows):
            return torch.nn.Linear(hidden, rows, bias=False)

        def layer():
            return torch.nn.ModuleDict({
                "norm": RMSNorm(hidden), "after": RMSNorm(hidden),
                "q": linear(hidden), "k": linear(kv_heads * self.size),
                "v": linear(kv_heads * self.size), "o": linear(hidden),
                "gate": linear(inner), "up": linear(inner),
                "down": torch.nn.Linear(inner, hidden, bias=False)})

        self.layers = torch.nn.ModuleList([layer() for _ in range(layers)])
        self.norm = RMSNorm(hidden)
        self.head = linear(words)

    def turn(self, x, position):
        half = self.size // 2
        steps = torch.arange(half, dtype=torch.float32) / half
        angle = position[:, None, :, None].float() * torch.pow(10000.0, -steps)
        cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
        a, b = x[..., :half], x[..., half:]
        return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)

    def forward(self, ids, position, mask, *cache):
        batch, length = ids.shape
        x, present = self.embed(ids), []
        for i, layer in enumerate(self.layers):
            y = layer["norm"](x)

            def split(z, heads):
                return z.view(batch, length, heads, self.size).transpose(1, 2)

            q = self.turn(split(layer["q"](y), self.heads), position)
            k = self.turn(split(layer["k"](y), self.kv_heads), position)
            v = split(layer["v"](y), self.kv_heads)
            k, v = torch.cat([cache[2 * i], k], 2), torch.cat([cache[2 * i + 1], v], 2)
            present += [k, v]
            groups = self.heads // self.kv_heads
            wide_k = k.repeat_interleave(groups, 1)
            wide_v = v.repeat_interleave(groups, 1)
            scores = q @ wide_k.transpose(2, 3) / math.sqrt(self.size) + mask
            mixed = torch.softmax(scores, -1) @ wide_v
            x = x + layer["o"](mixed.transpose(1, 2).reshape(batch, length, -1))
            y = layer["after"](x)
            gated = torch.nn.functional.silu(layer["gate"](y)) * layer["up"](y)
            x = x + layer["down"](gated)
        return (self.head(self.norm(x)), *present)


def decoder(export, layers=2, hidden=256, heads=8, kv_heads=2, inner=688, words=1000, half=False):
    model = Decoder(layers, hidden, heads, kv_heads, inner, words).eval()
    dtype = torch.float16 if half else torch.float32
    model = model.to(dtype)
    batch, length, past = 2, 5, 7
    cache = [torch.randn(batch, kv_heads, past, hidden // heads, dtype=dtype)
             for _ in range(2 * layers)]
    inputs = (torch.randint(0, words, (batch, length)), torch.arange(length).repeat(batch, 1),
              torch.zeros(batch, 1, length, past + length, dtype=dtype), *cache)
    names = ["ids", "position", "mask"]
    names += [f"past.{i // 2}.{'kv'[i % 2]}" for i in range(2 * layers)]
    if export is dynamo:
        # With sizes left open the exporter fails on the cache; numbers it takes.
        return dynamo(model, inputs, names)
    axes = {n: {0: "batch", 2: "past"} for n in names[3:]}
    axes |= {"ids": {0: "batch", 1: "seq"}, "position": {0: "batch", 1: "seq"},
             "mask": {0: "batch", 2: "seq", 3: "past + seq"}}
    return legacy(model, inputs, names, axes)


def t5():
    """Encoder and decoder of T5-small in one graph, without a cache."""
    from transformers import T5Config, T5Model

    class Both(torch.nn.Module):
        def __init__(self):
            super().__init__()
            config = T5Config(d_model=128, d_kv=16, d_ff=256, num_layers=2, num_heads=8,
                              vocab_size=500, use_cache=False)
            self.t5 = T5Model(config)

        def forward(self, ids, decoded):
            encoded = self.t5.encoder(input_ids=ids).last_hidden_state
            return self.t5.decoder(input_ids=decoded, encoder_hidden_states=encoded,
                                   use_cache=False).last_hidden_state

    ids = torch.randint(0, 500, (2, 9))
    return legacy(Both().eval(), (ids, ids[:, :4]), ["ids", "decoded"],
                  {"ids": {0: "batch", 1: "seq"}, "decoded": {0: "batch", 1: "steps"}})


class Recurrent(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = torch.nn.LSTM(40, 64, num_layers=2, bidirectional=True)
        self.gru = torch.nn.GRU(128, 32)
        self.head = torch.nn.Linear(32, 10)

    def forward(self, x):
        return self.head(self.gru(self.lstm(x)[0])[0])


def quantized(model):
    """Q/DQ nodes around every convolution and matrix product, by onnxruntime's static quantiser."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        def __init__(self):
            self.left = 2

        def get_next(self):
            self.left -= 1
            shape = (1, 3, 224, 224)
            return {"input": np.random.rand(*shape).astype(np.float32)} if self.left >= 0 else None

    with tempfile.TemporaryDirectory() as folder:
        raw, ready, done = (pathlib.Path(folder) / n for n in ("raw", "ready", "done"))
        onnx.save(model, raw)
        quant_pre_process(str(raw), str(ready), skip_symbolic_shape=True, skip_optimization=True)
        quantize_static(str(ready), str(done), Reader(), quant_format=QuantFormat.QDQ)
        return onnx.load(done)


def four_bits(model):
    """Weights of matrix products packed to four bits, by onnxruntime's quantiser."""
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

    quantizer = MatMulNBitsQuantizer(model, bits=4, block_size=32, is_symmetric=True)
    quantizer.process()
    return quantizer.model.model


def half(model):
    from onnxruntime.transformers.float16 import convert_float_to_float16

    return convert_float_to_float16(model, keep_io_types=False)


tv = torchvision.models
MODELS = {
    "resnet18": lambda: vision(tv.resnet18),
    "resnet18_dynamo": lambda: vision(tv.resnet18, export=dynamo),
    "resnet18_fp16": lambda: half(vision(tv.resnet18)),
    "resnet18_qdq": lambda: quantized(vision(tv.resnet18)),
    "swin_t": lambda: vision(tv.swin_t),
    "maxvit_t": lambda: vision(tv.maxvit_t, dynamic=False),
    "convnext_tiny_dynamo": lambda: vision(tv.convnext_tiny, export=dynamo),
    "densenet121": lambda: vision(tv.densenet121),
    "shufflenet_v2": lambda: vision(tv.shufflenet_v2_x1_0),
    "deeplab_mobilenet": lambda: vision(tv.segmentation.deeplabv3_mobilenet_v3_large, size=224,
                                        weights_backbone=None),
    "ssdlite": detector,
    "unet": unet,
    "decoder": lambda: decoder(legacy),
    "decoder_dynamo": lambda: decoder(dynamo),
    "decoder_int4": lambda: four_bits(decoder(legacy)),
    "t5": t5,
    "recurrent": lambda: legacy(Recurrent().eval(), (torch.randn(7, 3, 40),), ["input"],
                                {"input": {0: "steps", 1: "batch"}}),
}

SIZES = {"batch": 2, "seq": 5, "past": 7, "past + seq": 12, "steps": 4, "height": 64, "width": 96}


def feeds(model):
    fixed = {t.name for t in model.graph.initializer}
    result, shapes = {}, {}
    for value in model.graph.input:
        if value.name in fixed:
            continue
        kind = value.type.tensor_type
        shape = []
        for dim in kind.shape.dim:
            name = dim.dim_param
            known = SIZES.get(name, 12 if "+" in name or name.startswith("s") else 2)
            shape.append(known if name else dim.dim_value)
        shapes[value.name] = shape
        dtype = helper.tensor_dtype_to_np_dtype(kind.elem_type)
        if dtype.kind == "f":
            result[value.name] = np.random.rand(*shape).astype(dtype)
        else:
            result[value.name] = np.ones(shape, dtype)
    return result, shapes


def observed(model):
    """Operator and MACs of every node that sums products, in order; the shapes of the inputs."""
    inputs, given = feeds(model)
    return observe.products(model, inputs)[0], given


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="MODEL")
    names = parser.parse_args().names or MODELS
    for name in names:
        torch.manual_seed(0)
        np.random.seed(0)
        model = MODELS[name]()
        for node in model.graph.node:
            node.ClearField("metadata_props")
            node.ClearField("doc_string")
        rows, given = observed(model)
        size = model.ByteSize()
        lines = [f"{op}\t{macs}" for op, macs in rows]
        lines += ["inputs\t" + "\t".join(f"{n}={'x'.join(map(str, s))}" for n, s in given.items())]
        stripped = strip(model, name)
        data = stripped.SerializeToString()
        (HERE / f"{name}.onnx").write_bytes(data)
        (HERE / f"{name}.tsv").write_text("\n".join(lines) + "\n")
        total = sum(macs for _, macs in rows)
        print(f"{name}: {size:,} -> {len(data):,} bytes, {len(model.graph.node)} nodes, {total:,} MACs", flush=True)


if __name__ == "__main__":
    main()
