"""Export the shipped models: architectures with random weights, then the graphs alone.

    pip install -r models/requirements.txt
    python models/make.py                  # graph-only files beside this script
    python models/make.py --full DIR       # also ResNet-50 and VGG-16 with weights inside

Nothing is downloaded: weights are random. Initialisers of more than 16 numbers (floats) or
1,024 (integers, which shapes may depend on) become references to `<name>.weights`, a file that is
not written: the graph is enough to count. Constants of more than 4 KiB become initialisers first.
Batch normalisation is kept as a node, so that parameters are those of the published network.
"""

import argparse
import io
import pathlib

import onnx
import torch
import torchvision
from onnx import TensorProto

SMALL = {TensorProto.FLOAT: 16}
HERE = pathlib.Path(__file__).parent


def vision(builder, size=224, **options):
    """A torchvision network and its input: `batch` images."""
    model = builder(weights=None, **options)
    return model, (torch.randn(2, 3, size, size),), ["input"], {"input": {0: "batch"}}


def bert():
    from transformers import BertConfig, BertModel

    class Encoder(torch.nn.Module):
        """BERT with two inputs and two outputs, in plain tensors."""

        def __init__(self):
            super().__init__()
            self.bert = BertModel(BertConfig(attn_implementation="eager"))

        def forward(self, input_ids, attention_mask):
            out = self.bert(input_ids=input_ids, attention_mask=attention_mask)
            return out.last_hidden_state, out.pooler_output

    ids = torch.randint(0, 1000, (2, 16))
    axes = {0: "batch", 1: "seq"}
    names = ["input_ids", "attention_mask"]
    return Encoder(), (ids, torch.ones_like(ids)), names, {n: axes for n in names}


def gpt2():
    from transformers import GPT2Config, GPT2LMHeadModel

    class Decoder(torch.nn.Module):
        """GPT-2 without a cache: token ids in, logits out."""

        def __init__(self):
            super().__init__()
            self.gpt2 = GPT2LMHeadModel(GPT2Config(attn_implementation="eager", use_cache=False))

        def forward(self, input_ids):
            # The exporter cannot follow how transformers makes the causal mask, so it is given.
            size = input_ids.shape[1]
            hidden = torch.triu(torch.ones(size, size), diagonal=1)
            mask = (hidden * torch.finfo(torch.float32).min)[None, None]
            return self.gpt2(input_ids=input_ids, attention_mask=mask).logits

    ids = torch.randint(0, 1000, (2, 16))
    return Decoder(), (ids,), ["input_ids"], {"input_ids": {0: "batch", 1: "seq"}}


tv = torchvision.models
MODELS = {
    "mobilenet_v2": lambda: vision(tv.mobilenet_v2),
    "resnet50": lambda: vision(tv.resnet50),
    "vgg16": lambda: vision(tv.vgg16),
    "inception_v3": lambda: vision(tv.inception_v3, 299, init_weights=False),
    "efficientnet_b0": lambda: vision(tv.efficientnet_b0),
    "vit_b_16": lambda: vision(tv.vit_b_16),
    "bert_base": bert,
    "gpt2": gpt2,
}


def scatter(model):
    """Make every tensor distinct: the exporter merges equal initialisers into one."""
    with torch.no_grad():
        for tensor in [*model.parameters(), *model.buffers()]:
            if tensor.is_floating_point():
                tensor.add_(torch.rand_like(tensor) * 1e-3)


def export(name):
    """The model as ONNX with weights inside."""
    torch.manual_seed(0)
    model, inputs, names, axes = MODELS[name]()
    model.eval()
    scatter(model)
    # PRESERVE, and no folding, keep batch normalisation as nodes of their own. Folding would also
    # store GPT-2's table of words, which its output layer shares, a second time.
    mode = torch.onnx.TrainingMode
    normalised = any(isinstance(m, torch.nn.BatchNorm2d) for m in model.modules())
    buffer = io.BytesIO()
    torch.onnx.export(
        model,
        inputs,
        buffer,
        input_names=names,
        dynamic_axes=axes,
        opset_version=17,
        training=mode.PRESERVE if normalised else mode.EVAL,
        do_constant_folding=not normalised and name != "gpt2",
        dynamo=False,
    )
    return onnx.load_from_string(buffer.getvalue())


def captured(nodes, inside):
    """Names that bodies mention: they may be values of the graph around them."""
    for node in nodes:
        if inside:
            yield from node.input
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from captured(attribute.g.node, True)
                yield from (o.name for o in attribute.g.output)


def strip(model, name):
    """Replace large initialisers by references to a file that is not shipped."""
    nodes = list(model.graph.node)
    del model.graph.node[:]
    for node in nodes:
        values = [a.t for a in node.attribute if a.name == "value"]
        if node.op_type == "Constant" and values and len(values[0].raw_data) > 4 * 1024:
            values[0].name = node.output[0]
            model.graph.initializer.append(values[0])
        else:
            model.graph.node.append(node)
    offset = 0
    for tensor in model.graph.initializer:
        count = 1
        for dim in tensor.dims:
            count *= dim
        if count <= SMALL.get(tensor.data_type, 1024):
            continue
        length = len(tensor.raw_data)
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in [("location", f"{name}.weights"), ("offset", offset), ("length", length)]:
            tensor.external_data.add(key=key, value=str(value))
        offset += length
    del model.graph.value_info[:]
    # Long names of intermediate values are most of a graph's bytes; nodes keep theirs.
    fixed = {v.name for v in [*model.graph.input, *model.graph.output, *model.graph.initializer]}
    fixed |= set(captured(model.graph.node, False))
    short = {}
    for node in model.graph.node:
        for names in (node.input, node.output):
            for i, value in enumerate(names):
                if value and value not in fixed:
                    names[i] = short.setdefault(value, f"v{len(short)}")
        node.ClearField("doc_string")
        node.ClearField("metadata_props")
    return model


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", type=pathlib.Path, metavar="DIR")
    parser.add_argument("names", nargs="*", default=[], metavar="MODEL")
    args = parser.parse_args()
    for name in args.names or MODELS:
        model = export(name)
        if args.full and name in ("resnet50", "vgg16"):
            args.full.mkdir(parents=True, exist_ok=True)
            (args.full / f"{name}.onnx").write_bytes(model.SerializeToString())
        stripped = strip(model, name).SerializeToString()
        (HERE / f"{name}.onnx").write_bytes(stripped)
        print(f"{name}: {len(stripped):,} bytes, {len(model.graph.node)} nodes")


if __name__ == "__main__":
    main()
