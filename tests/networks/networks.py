"""Networks whose numbers torch and onnxruntime both know: detectors, segmentation, eight bits, decoders.

    pip install -r models/requirements.txt
    python tests/networks/networks.py [NAME ...]   # graph-only files and NAME.json beside this script

Each entry of NETWORKS builds a Network: the exported model, the sizes at which it is looked at, and the
parameters and MACs that torch counts. Nothing is downloaded: weights are random. `benches/networks.py`
compares rooflens with all of them; those in KEPT are in the repository as graphs. NAME.json holds, for each
choice of sizes, the MACs of each product from the shapes that onnxruntime produced with its optimiser off (and the
rows that it gives, where these are boxes), the shapes of the outputs, and the bytes of the cache by the configuration; and the parameters that torch counts.
"""

import argparse
import copy
import dataclasses
import io
import json
import pathlib
import re
import sys
import tempfile
import typing

import numpy as np
import onnx
import onnxruntime
import torch
import torchvision
from onnx import TensorProto, helper
from torch.utils.flop_counter import FlopCounterMode

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent.parent / "models"), str(HERE.parent / "models")]
import observe  # noqa: E402
from make import strip  # noqa: E402

tv = torchvision.models


@dataclasses.dataclass
class Network:
    """An export and what torch says of the network."""

    model: onnx.ModelProto
    # Learned numbers by torch's count; normalisation that the exporter folded is a bias.
    params: int
    # Values of the symbols of the inputs' shapes; several where sizes are open.
    sizes: list = dataclasses.field(default_factory=lambda: [{}])
    # MACs by torch's counter at given sizes.
    macs: typing.Callable = lambda sizes: None
    # Inputs whose contents decide sizes or branches.
    values: dict = dataclasses.field(default_factory=dict)
    # Bytes of the cache by the configuration, after a run at given sizes.
    cache: typing.Callable = lambda sizes: 0
    # Whether all costs have a limit: a mask is resized to its box, whose size is contents.
    complete: bool = True
    # Whether the number of boxes decides the cost of products.
    boxes: bool = False
    # The products that run: the model itself, or the one that a branch holds.
    seen: typing.Optional[onnx.ModelProto] = None


def legacy(model, inputs, names, axes=None, opset=17, **options):
    buffer = io.BytesIO()
    torch.onnx.export(model, inputs, buffer, input_names=names, dynamic_axes=axes or {},
                      opset_version=opset, dynamo=False, **options)
    return onnx.load_from_string(buffer.getvalue())


def dynamo(model, inputs, names, shapes=None, outputs=None):
    program = torch.export.export(model, inputs, dynamic_shapes=shapes, strict=False)
    # torch 2.9 writes guards on the inputs that it cannot run again.
    program._guards_code = []
    exported = torch.onnx.export(program, inputs, input_names=names, output_names=outputs, dynamo=True,
                                 opset_version=18, verbose=False).model_proto
    # A program carries symbols of its own in place of the names that were given.
    flat = [axes for part in shapes for axes in (part if isinstance(part, tuple) else (part,))]
    called = {}
    for value, axes in zip(exported.graph.input, flat):
        for axis, dim in axes.items():
            if isinstance(dim, type(torch.export.Dim("any"))):
                called[value.type.tensor_type.shape.dim[axis].dim_param] = dim.__name__
    for value in [*exported.graph.input, *exported.graph.output]:
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param:
                dim.dim_param = re.sub(r"\w+", lambda m: called.get(m[0], m[0]), dim.dim_param)
    return exported


def distinct(model):
    """Make every tensor distinct: exporters merge equal initialisers into one."""
    with torch.no_grad():
        for tensor in [*model.parameters(), *model.buffers()]:
            if tensor.is_floating_point():
                tensor.add_(torch.rand_like(tensor) * 1e-3)
    return model.eval()


def counted(model, *inputs, **named):
    """MACs by torch's own counter."""
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        model(*inputs, **named)
    return counter.get_total_flops() // 2


def learned(model, folded=True):
    """Numbers of all parameters; with normalisation folded, a convolution before one has a bias."""
    total = sum(p.numel() for p in model.parameters())
    if not folded:
        return total
    before = None
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d) and isinstance(before, torch.nn.Conv2d):
            total -= 2 * module.num_features
            total += module.num_features if before.bias is None else 0
        if not list(module.children()):
            before = module
    return total


# Detection and segmentation.

class Detector(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, images):
        return self.model(images)


def detector(build, size=(150, 210), opened=False, complete=True, **options):
    """A detector at one image; its resize chooses the sizes of the backbone by arithmetic on floats."""
    model = distinct(build(weights=None, weights_backbone=None, **options))
    if hasattr(model, "rpn"):
        # Random boxes leave the image and are dropped; the anchors themselves are boxes that stay.
        torch.nn.init.zeros_(model.rpn.head.bbox_pred.weight)
        torch.nn.init.zeros_(model.roi_heads.box_predictor.bbox_pred.weight)
        torch.nn.init.zeros_(model.roi_heads.box_predictor.cls_score.weight)
    image = torch.rand(1, 3, *size)
    axes = {"input": {2: "height", 3: "width"}} if opened else None
    exported = legacy(model, (image,), ["input"], axes)
    sizes = [{"height": size[0], "width": size[1]}] if opened else [{}]
    if opened:
        sizes.append({"height": 97, "width": 64})

    def macs(at):
        given = (at.get("height", size[0]), at.get("width", size[1]))
        torch.manual_seed(1)
        return counted(model, torch.rand(1, 3, *given))

    return Network(exported, learned(model), sizes, macs, complete=complete, boxes=hasattr(model, "rpn"))


def segmenter(build, size=(64, 96), **options):
    model = distinct(build(weights=None, weights_backbone=None, **options))

    class Whole(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, x):
            return self.model(x)["out"]

    axes = {"input": {0: "batch", 2: "height", 3: "width"}}
    exported = legacy(Whole().eval(), (torch.rand(2, 3, *size),), ["input"], axes)
    sizes = [{"batch": 2, "height": 64, "width": 96}, {"batch": 1, "height": 97, "width": 130},
             {"batch": 3, "height": 224, "width": 224}]

    def macs(at):
        return counted(model, torch.rand(at["batch"], 3, at["height"], at["width"]))

    return Network(exported, learned(model), sizes, macs)


SMALL = {"min_size": 200, "max_size": 333}
CHOSEN = SMALL | {"box_score_thresh": 0.0}
found = tv.detection
cut = tv.segmentation
VISION = {
    "fasterrcnn_resnet50_fpn": lambda: detector(found.fasterrcnn_resnet50_fpn, **CHOSEN),
    "fasterrcnn_resnet50_fpn_v2": lambda: detector(found.fasterrcnn_resnet50_fpn_v2, **CHOSEN),
    "fasterrcnn_mobilenet_v3_large_320_fpn":
        lambda: detector(found.fasterrcnn_mobilenet_v3_large_320_fpn, box_score_thresh=0.0),
    "fasterrcnn_mobilenet_open":
        lambda: detector(found.fasterrcnn_mobilenet_v3_large_320_fpn, opened=True, box_score_thresh=0.0),
    "maskrcnn_resnet50_fpn": lambda: detector(found.maskrcnn_resnet50_fpn, complete=False, **CHOSEN),
    "maskrcnn_resnet50_fpn_v2": lambda: detector(found.maskrcnn_resnet50_fpn_v2, complete=False, **CHOSEN),
    "fasterrcnn_mobilenet_v3_large_fpn": lambda: detector(found.fasterrcnn_mobilenet_v3_large_fpn, **CHOSEN),
    "keypointrcnn_resnet50_fpn": lambda: detector(found.keypointrcnn_resnet50_fpn, complete=False, **CHOSEN),
    "retinanet_resnet50_fpn": lambda: detector(found.retinanet_resnet50_fpn, **SMALL),
    "retinanet_resnet50_fpn_v2": lambda: detector(found.retinanet_resnet50_fpn_v2, **SMALL),
    "retinanet_open": lambda: detector(found.retinanet_resnet50_fpn, opened=True, **SMALL),
    "fcos_resnet50_fpn": lambda: detector(found.fcos_resnet50_fpn, **SMALL),
    "ssd300_vgg16": lambda: detector(found.ssd300_vgg16),
    "ssd300_open": lambda: detector(found.ssd300_vgg16, opened=True),
    "ssdlite320_mobilenet_v3_large": lambda: detector(found.ssdlite320_mobilenet_v3_large),
    "deeplabv3_resnet50": lambda: segmenter(cut.deeplabv3_resnet50),
    "deeplabv3_mobilenet_v3_large": lambda: segmenter(cut.deeplabv3_mobilenet_v3_large),
    "fcn_resnet50": lambda: segmenter(cut.fcn_resnet50),
    "lraspp_mobilenet_v3_large": lambda: segmenter(cut.lraspp_mobilenet_v3_large),
}


# Eight bits.

IMAGE = {"input": {0: "batch"}}
ROWS = [{"batch": 1}, {"batch": 3}]


def classifier(build):
    model = distinct(build(weights=None))
    return model, legacy(model, (torch.rand(2, 3, 224, 224),), ["input"], IMAGE)


def small_bert():
    from transformers import BertConfig, BertModel

    config = BertConfig(hidden_size=128, num_hidden_layers=2, num_attention_heads=4, intermediate_size=512,
                        vocab_size=1000, max_position_embeddings=64, attn_implementation="eager")

    class Encoder(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.bert = BertModel(config)

        def forward(self, input_ids, attention_mask):
            out = self.bert(input_ids=input_ids, attention_mask=attention_mask)
            return out.last_hidden_state, out.pooler_output

    model = distinct(Encoder())
    ids = torch.randint(0, 1000, (2, 16))
    names = ["input_ids", "attention_mask"]
    return model, legacy(model, (ids, torch.ones_like(ids)), names, {n: {0: "batch", 1: "seq"} for n in names})


class Reader:
    """Random inputs to calibrate with."""

    def __init__(self, model):
        self.items = [feeds(model, {"batch": 1, "seq": 16}, {}) for _ in range(2)]

    def get_next(self):
        return self.items.pop() if self.items else None


def eight_bits(model, style):
    from onnxruntime.quantization import QuantFormat, quantize_dynamic, quantize_static

    with tempfile.TemporaryDirectory() as folder:
        ready, done = (str(pathlib.Path(folder) / n) for n in ("ready", "done"))
        onnx.save(model, ready)
        if style == "dynamic":
            quantize_dynamic(ready, done)
        else:
            formats = {"qdq": QuantFormat.QDQ, "qoperator": QuantFormat.QOperator}
            quantize_static(ready, done, Reader(model), quant_format=formats[style],
                            per_channel=style == "qdq")
        return onnx.load(done)


def quantized(build, style):
    model, exported = build()
    bert = any(i.name == "input_ids" for i in exported.graph.input)
    sizes = [{"batch": 2, "seq": 16}, {"batch": 1, "seq": 33}] if bert else ROWS

    def macs(at):
        if bert:
            ids = torch.ones(at["batch"], at["seq"], dtype=torch.int64)
            return counted(model, ids, torch.ones_like(ids))
        return counted(model, torch.rand(at["batch"], 3, 224, 224))

    return Network(eight_bits(exported, style), learned(model), sizes, macs)


class Fake(torch.nn.Module):
    """A Q and a DQ before a layer's input and weight; the weight is stored in float."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        inner = self.inner
        x = torch.fake_quantize_per_tensor_affine(x, 0.05, 0, -128, 127)
        rows = inner.weight.shape[0]
        scale, zero = torch.full((rows,), 0.01), torch.zeros(rows, dtype=torch.int32)
        w = torch.fake_quantize_per_channel_affine(inner.weight, scale, zero, 0, -128, 127)
        if isinstance(inner, torch.nn.Linear):
            return torch.nn.functional.linear(x, w, inner.bias)
        return torch.nn.functional.conv2d(x, w, inner.bias, inner.stride, inner.padding, inner.dilation, inner.groups)


def aware(build):
    """Trained with quantisation in mind: float weights behind Q and DQ, normalisation not folded."""
    plain = distinct(build(weights=None)) if build else small_bert()[0]
    model = copy.deepcopy(plain)
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, (torch.nn.Linear, torch.nn.Conv2d)):
                setattr(module, name, Fake(child))
    ids = torch.randint(0, 1000, (2, 16))
    if build:
        exported, sizes = legacy(model, (torch.rand(2, 3, 224, 224),), ["input"], IMAGE), ROWS
    else:
        axes = {n: {0: "batch", 1: "seq"} for n in ("input_ids", "attention_mask")}
        exported = legacy(model, (ids, torch.ones_like(ids)), list(axes), axes)
        sizes = [{"batch": 2, "seq": 16}, {"batch": 1, "seq": 33}]

    def macs(at):
        if build:
            return counted(plain, torch.rand(at["batch"], 3, 224, 224))
        ids = torch.ones(at["batch"], at["seq"], dtype=torch.int64)
        return counted(plain, ids, torch.ones_like(ids))

    return Network(exported, learned(plain, folded=False), sizes, macs)


BYTES = {}
for _name, _build in [("resnet18", tv.resnet18), ("mobilenet_v2", tv.mobilenet_v2), ("bert", None)]:
    for _style in ("dynamic", "qdq", "qoperator"):
        _model = small_bert if _build is None else (lambda b=_build: classifier(b))
        BYTES[f"{_name}_{_style}"] = lambda m=_model, s=_style: quantized(m, s)
    BYTES[f"{_name}_qat"] = lambda b=_build: aware(b)


# Decoders with a cache.

def gpt2(small):
    from transformers import GPT2Config, GPT2LMHeadModel

    sizes = {"n_embd": 96, "n_layer": 2, "n_head": 3, "vocab_size": 500, "n_positions": 128} if small else {}
    return distinct(GPT2LMHeadModel(GPT2Config(attn_implementation="eager", **sizes)))


def llama(tied=False):
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(hidden_size=128, num_hidden_layers=2, num_attention_heads=8, num_key_value_heads=2,
                         intermediate_size=344, vocab_size=500, max_position_embeddings=256,
                         tie_word_embeddings=tied, attn_implementation="eager")
    return distinct(LlamaForCausalLM(config))


def layout(config):
    """Layers, heads of the cache, and their size."""
    layers = config.num_hidden_layers
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    return layers, heads, config.hidden_size // config.num_attention_heads


class Cached(torch.nn.Module):
    """A decoder with its cache as plain tensors, and the mask made from the attention mask given."""

    def __init__(self, inner, past=True, masked=True):
        super().__init__()
        self.inner, self.past, self.masked = inner, past, masked

    def forward(self, input_ids, *rest):
        if self.masked:
            return self.run(input_ids, rest[0], rest[1], rest[2:])
        batch, length = input_ids.shape
        past = rest[0].shape[2]
        mask = torch.ones(batch, past + length, dtype=torch.int64)
        position = torch.arange(past, past + length)[None].expand(batch, length)
        return self.run(input_ids, mask, position, rest)

    def run(self, input_ids, attention_mask, position_ids, cache):
        from transformers import DynamicCache

        whole, length = attention_mask.shape[1], input_ids.shape[1]
        places = torch.arange(whole)
        allowed = places[None, :] <= (places[:length] + (whole - length))[:, None]
        allowed = allowed[None, None] & attention_mask[:, None, None, :].bool()
        mask = torch.where(allowed, 0.0, torch.finfo(torch.float32).min)
        held = DynamicCache()
        for i in range(len(cache) // 2):
            held.update(cache[2 * i], cache[2 * i + 1], i)
        out = self.inner(input_ids=input_ids, attention_mask=mask, position_ids=position_ids,
                         past_key_values=held, use_cache=True)
        present = [t for layer in out.past_key_values.layers for t in (layer.keys, layer.values)]
        return (out.logits, *present)


STEPS = [{"batch": 2, "seq": 5, "past": 7}, {"batch": 1, "seq": 1, "past": 60},
         {"batch": 3, "seq": 9, "past": 1}]


def whole(at):
    return at | {"past + seq": at["past"] + at["seq"]}


def decoder_inputs(config, batch, seq, past, masked=True, cached=True):
    layers, heads, size = layout(config)
    ids = torch.randint(0, config.vocab_size, (batch, seq))
    mask = torch.ones(batch, past + seq, dtype=torch.int64)
    position = torch.arange(past, past + seq)[None].expand(batch, seq).contiguous()
    cache = [torch.randn(batch, heads, past, size) for _ in range(2 * layers)] if cached else []
    return (ids, *((mask, position) if masked else ()), *cache)


def cache_names(layers, word):
    return [f"{word}.{i}.{kind}" for i in range(layers) for kind in ("key", "value")]


def decoder(build, style):
    inner = build()
    config = inner.config
    layers, heads, size = layout(config)
    masked = style != "legacy"
    past, present = cache_names(layers, "past_key_values"), cache_names(layers, "present")
    names = ["input_ids"] + (["attention_mask", "position_ids"] if masked else [])
    held = {n: {0: "batch", 2: "past"} for n in past}
    new = {n: {0: "batch", 2: "past + seq"} for n in present}
    axes = {"input_ids": {0: "batch", 1: "seq"}, "attention_mask": {0: "batch", 1: "past + seq"},
            "position_ids": {0: "batch", 1: "seq"}, "logits": {0: "batch", 1: "seq"}}
    sample = decoder_inputs(config, 2, 5, 7, masked)
    outputs = ["logits", *present]

    def macs(at):
        given = decoder_inputs(config, at["batch"], at["seq"], at["past"])
        return counted(Cached(inner), *given)

    def cache(at):
        return 2 * layers * heads * size * 4 * at["batch"] * (at["past"] + at["seq"])

    # Folding would store a table of words that the output layer shares a second time, transposed.
    options = {"output_names": outputs, "do_constant_folding": False}
    sizes = [whole(at) for at in STEPS]
    params, seen, values = sum(p.numel() for p in inner.parameters()), None, {}
    if style == "dynamo":
        auto = torch.export.Dim.DYNAMIC
        most = config.max_position_embeddings - 2
        batch = torch.export.Dim("batch", min=2)
        seq, before = (torch.export.Dim(n, min=2, max=most) for n in ("seq", "past"))
        shapes = ({0: batch, 1: seq}, ({0: batch, 1: auto}, {0: batch, 1: seq},
                                       *({0: batch, 2: before} for _ in past)))
        model = dynamo(Cached(inner), sample, names + past, shapes, outputs)
    elif style in ("legacy", "with_past"):
        known = {n: a for n, a in axes.items() if n in [*names, "logits"]}
        model = legacy(Cached(inner, masked=masked), sample, names + past, known | held | new, **options)
    else:
        known = axes | held | new
        with_past = legacy(Cached(inner), sample, names + past, known, **options)
        first = axes | {"attention_mask": {0: "batch", 1: "seq"}}
        first |= {n: {0: "batch", 2: "seq"} for n in present}
        without = legacy(Cached(inner), decoder_inputs(config, 2, 5, 0, cached=False), names, first,
                         **options)
        if style == "first":
            sizes = [{"batch": 2, "seq": 5, "past": 0}, {"batch": 1, "seq": 17, "past": 0}]
            # No input of it holds a cache.
            return Network(without, params, sizes, macs)
        model = merged(with_past, without)
        chosen = style == "merged"
        seen, values = (with_past if chosen else without), {"use_cache_branch": [chosen]}
        if not chosen:
            # The cache given to the branch without one is a dummy that nothing reads.
            sizes = [whole({"batch": 2, "seq": 5, "past": 0}), whole({"batch": 1, "seq": 17, "past": 0})]
    return Network(model, params, sizes, macs, values, cache, seen=seen)


def merged(with_past, without):
    """One file of two: an If on `use_cache_branch`, weights shared, as optimum merges decoders."""
    weights, shared, bodies = {}, [], []
    inputs = {i.name for i in with_past.graph.input}
    for prefix, part in (("with.", with_past), ("without.", without)):
        graph = copy.deepcopy(part.graph)
        renamed = {}
        for tensor in graph.initializer:
            key = (tuple(tensor.dims), tensor.data_type, tensor.raw_data)
            if key not in weights:
                weights[key] = prefix + tensor.name
                kept = copy.deepcopy(tensor)
                kept.name = prefix + tensor.name
                shared.append(kept)
            renamed[tensor.name] = weights[key]
        del graph.initializer[:]
        del graph.input[:]
        del graph.value_info[:]

        def new(name):
            return name if not name or name in inputs else renamed.get(name, prefix + name)

        for node in graph.node:
            node.name = prefix + node.name
            for names in (node.input, node.output):
                names[:] = [new(n) for n in names]
        for output in graph.output:
            output.name = new(output.name)
        graph.name = prefix + "branch"
        bodies.append(graph)
    flag = helper.make_tensor_value_info("use_cache_branch", TensorProto.BOOL, [1])
    outputs = [o for o in with_past.graph.output]
    choice = helper.make_node("If", ["use_cache_branch"], [o.name for o in outputs], "optimum::if",
                              then_branch=bodies[0], else_branch=bodies[1])
    graph = helper.make_graph([choice], "merged", [*with_past.graph.input, flag], outputs, shared)
    return helper.make_model(graph, opset_imports=with_past.opset_import, ir_version=with_past.ir_version)


STYLES = ("legacy", "dynamo", "with_past", "first", "merged", "merged_first")
DECODERS = {f"gpt2_small_{style}": lambda s=style: decoder(lambda: gpt2(True), s) for style in STYLES}
DECODERS |= {f"llama_{style}": lambda s=style: decoder(llama, s) for style in STYLES}
DECODERS |= {f"llama_tied_{style}": lambda s=style: decoder(lambda: llama(True), s) for style in ("legacy", "dynamo")}
DECODERS |= {f"gpt2_{style}": lambda s=style: decoder(lambda: gpt2(False), s)
             for style in ("legacy", "dynamo", "merged")}

NETWORKS = VISION | BYTES | DECODERS


# Running them.

def extent(name, sizes):
    """A symbol's value; a sum of symbols is the sum of theirs."""
    if name in sizes:
        return sizes[name]
    return sum(sizes[part.strip()] for part in name.split("+"))


def feeds(model, sizes, values):
    """Inputs at sizes: random floats, ones elsewhere."""
    fixed = {t.name for t in model.graph.initializer}
    result = {}
    for value in model.graph.input:
        if value.name in fixed:
            continue
        kind = value.type.tensor_type
        dtype = helper.tensor_dtype_to_np_dtype(kind.elem_type)
        if value.name in values:
            result[value.name] = np.array(values[value.name], dtype)
            continue
        shape = [extent(d.dim_param, sizes) if d.dim_param else d.dim_value for d in kind.shape.dim]
        filled = np.random.rand(*shape) if dtype.kind == "f" else np.ones(shape)
        result[value.name] = filled.astype(dtype)
    return result


def written(value):
    return ",".join(str(v).lower() for v in value)


def arguments(net, at):
    """What fixes values, and the same sizes as shapes of inputs and as values of their symbols."""
    given = feeds(net.model, at, net.values)
    values = [f"--value={name}={written(v)}" for name, v in net.values.items()]
    shapes = [f"--shape={n}={'x'.join(map(str, np.shape(v)))}" for n, v in given.items() if n not in net.values]
    symbols = {d.dim_param for i in net.model.graph.input for d in i.type.tensor_type.shape.dim if d.dim_param}
    single = sorted(s for s in symbols if re.fullmatch(r"\w+", s))
    return values + shapes, values + [f"--dim={s}={extent(s, at)}" for s in single]


def observed(net, at):
    """Products, their MACs and the first size of what they give, by node; the shapes of the outputs."""
    model = net.seen or net.model
    shapes = observe.shapes(model, feeds(model, at, net.values))
    rows = [(node.op_type, observe.macs(node, shapes), shapes[node.output[0]][0]) for node in observe.counted(model)]
    return rows, [shapes[output.name] for output in model.graph.output]


# In the repository: each kind once, and small.
KEPT = ("fasterrcnn_mobilenet_v3_large_320_fpn", "maskrcnn_resnet50_fpn", "fcos_resnet50_fpn",
        "lraspp_mobilenet_v3_large", "resnet18_dynamic", "mobilenet_v2_qoperator", "bert_dynamic", "bert_qat",
        "llama_legacy", "llama_dynamo", "llama_merged", "gpt2_small_legacy")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME")
    onnxruntime.set_default_logger_severity(4)
    for name in parser.parse_args().names or KEPT:
        torch.manual_seed(0)
        np.random.seed(0)
        net = NETWORKS[name]()
        truth = {"params": net.params, "complete": net.complete, "at": []}
        for at in net.sizes:
            products, outputs = observed(net, at)
            shapes, dims = arguments(net, at)
            products = products if net.boxes else [row[:2] for row in products]
            truth["at"].append({"shapes": shapes, "dims": dims if at else None, "products": products,
                                "outputs": outputs, "cache": net.cache(at)})
        data = strip(net.model, name).SerializeToString()
        (HERE / f"{name}.onnx").write_bytes(data)
        (HERE / f"{name}.json").write_text(json.dumps(truth).replace('{"shapes"', '\n{"shapes"') + "\n")
        print(f"{name}: {len(data):,} bytes, {len(net.model.graph.node)} nodes", flush=True)


if __name__ == "__main__":
    main()
