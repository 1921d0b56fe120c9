"""Count parameters and MACs of the models with tools that are not rooflens; write manifest.toml.

Parameters: the sum over `model.parameters()` in torch, beside torchvision's published `num_params`.
MACs: every operand and result of Conv, Gemm and MatMul is made an output of the graph, onnxruntime
runs it, and the shapes it really produced go into the definition: |y|·(Cin/g)·∏k and |y|·K.
Beside them, `torch.utils.flop_counter` and torchvision's published GMACs, both for information.
"""

import hashlib
import math

import numpy as np
import onnx
import onnxruntime
import torch
from torch.utils.flop_counter import FlopCounterMode

import make

COUNTED = ("Conv", "Gemm", "MatMul")
SIZES = {"batch": 1, "seq": 128}
WEIGHTS = {
    "mobilenet_v2": "MobileNet_V2_Weights",
    "resnet50": "ResNet50_Weights",
    "vgg16": "VGG16_Weights",
    "inception_v3": "Inception_V3_Weights",
    "efficientnet_b0": "EfficientNet_B0_Weights",
    "vit_b_16": "ViT_B_16_Weights",
}


def feeds(model):
    """Inputs at SIZES."""
    result = {}
    for value in model.graph.input:
        kind = value.type.tensor_type
        shape = [SIZES[d.dim_param] if d.dim_param else d.dim_value for d in kind.shape.dim]
        if kind.elem_type == onnx.TensorProto.FLOAT:
            result[value.name] = np.random.randn(*shape).astype(np.float32)
        else:
            result[value.name] = np.ones(shape, np.int64)
    return result


def observed_macs(model):
    """MACs by operator from the shapes onnxruntime produces, and the outputs' shapes."""
    outputs = [o.name for o in model.graph.output]
    inputs = feeds(model)
    inits = {t.name: list(t.dims) for t in model.graph.initializer}
    wanted = {n for node in model.graph.node if node.op_type in COUNTED
              for n in [*node.input, *node.output] if n}
    wanted -= set(inits) | set(inputs) | set(outputs)
    for name in sorted(wanted):
        model.graph.output.append(onnx.ValueInfoProto(name=name))
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    names = [o.name for o in session.get_outputs()]
    shapes = {n: list(v.shape) for n, v in zip(names, session.run(names, inputs))}
    shapes.update(inits)
    shapes.update({n: list(v.shape) for n, v in inputs.items()})
    macs = {}
    for node in model.graph.node:
        if node.op_type not in COUNTED:
            continue
        attrs = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        a, b, y = shapes[node.input[0]], shapes[node.input[1]], shapes[node.output[0]]
        if node.op_type == "Conv":
            inner = math.prod(b[1:])
        elif node.op_type == "Gemm":
            inner = a[0] if attrs.get("transA") else a[1]
        else:
            inner = a[-1]
        macs[node.op_type] = macs.get(node.op_type, 0) + math.prod(y) * inner
    return macs, {n: shapes[n] for n in outputs}


def torch_counts(name):
    """Parameters, and half the FLOPs that torch's counter sees."""
    torch.manual_seed(0)
    model, inputs, names, axes = make.MODELS[name]()
    model.eval()
    shaped = []
    for tensor, key in zip(inputs, names):
        dims = [SIZES[axes[key][i]] if i in axes[key] else d for i, d in enumerate(tensor.shape)]
        shaped.append(torch.ones(dims, dtype=tensor.dtype))
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        model(*shaped)
    # The auxiliary classifier of Inception works in training only and is not exported.
    kept = [p.numel() for n, p in model.named_parameters() if not n.startswith("AuxLogits")]
    return sum(kept), counter.get_total_flops() // 2


def published(name):
    """torchvision's `num_params` and GMACs."""
    if name not in WEIGHTS:
        return None, None
    meta = getattr(make.tv, WEIGHTS[name]).IMAGENET1K_V1.meta
    return meta["num_params"], meta["_ops"]


def main():
    out = [
        "# Written by verify.py. Numbers are at batch = 1, seq = 128, and come from tools that are",
        "# not rooflens: `params` from torch, `macs` from shapes observed in onnxruntime",
        f"# {onnxruntime.__version__}, `macs_torch` from torch.utils.flop_counter in torch {torch.__version__},",
        "# `published_*` from torchvision's weight metadata. Graphs are made by make.py.",
        "",
    ]
    for name in make.MODELS:
        model = make.export(name)
        macs, outputs = observed_macs(model)
        nodes = len(onnx.load(make.HERE / f"{name}.onnx", load_external_data=False).graph.node)
        params, macs_torch = torch_counts(name)
        num_params, gmacs = published(name)
        digest = hashlib.sha256((make.HERE / f"{name}.onnx").read_bytes()).hexdigest()
        out += ["[[model]]", f'name = "{name}"', f'file = "{name}.onnx"', f'sha256 = "{digest}"']
        out += [f"nodes = {nodes}", f"params = {params}"]
        out += ['params_source = "sum of numel over torch model.parameters(), AuxLogits aside"']
        if num_params:
            out += [f"published_num_params = {num_params}", f"published_gmacs = {gmacs}"]
        out += [f"macs = {sum(macs.values())}"]
        out += ['macs_source = "Conv, Gemm, MatMul from shapes observed in onnxruntime"']
        by_op = ", ".join(f"{k} = {v}" for k, v in sorted(macs.items()))
        out += [f"macs_by_op = {{ {by_op} }}", f"macs_torch = {macs_torch}"]
        shapes = ", ".join(f'{{ name = "{n}", shape = {s} }}' for n, s in outputs.items())
        out += [f"outputs = [{shapes}]", ""]
        print(name, params, num_params, sum(macs.values()), macs_torch, gmacs, flush=True)
    (make.HERE / "manifest.toml").write_text("\n".join(out))


if __name__ == "__main__":
    main()
