"""Multiply-accumulates of a model's products, from the shapes that onnxruntime sees at run time."""

import math

import numpy as np
import onnx
import onnxruntime
from onnx import helper

COUNTED = ("Conv", "ConvTranspose", "Gemm", "MatMul", "Einsum", "ConvInteger", "MatMulInteger",
           "MatMulNBits", "FusedMatMul", "LSTM", "GRU", "QLinearConv", "QLinearMatMul", "QGemm")
# The operand that is multiplied with the first one.
SECOND = {"QLinearConv": 3, "QLinearMatMul": 3, "QGemm": 3}


def products(model, inputs):
    """Operator and MACs of every node that sums products, in file order; the shapes of the outputs."""
    seen = shapes(model, inputs)
    rows = [(node.op_type, macs(node, seen)) for node in counted(model)]
    return rows, [seen[output.name] for output in model.graph.output]


def counted(model):
    return [node for node in model.graph.node if node.op_type in COUNTED]


def shapes(model, inputs):
    """Shapes of the outputs and of what nodes that sum products read and write.

    Every such tensor is made an output of a run without optimisations.
    """
    outputs = [o.name for o in model.graph.output]
    fixed = {t.name: list(t.dims) for t in model.graph.initializer}
    wanted = {n for node in counted(model) for n in [*node.input, *node.output] if n}
    wanted -= set(fixed) | set(inputs) | set(outputs)
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    for name in sorted(wanted):
        probe.graph.output.append(onnx.ValueInfoProto(name=name))
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(probe.SerializeToString(), options)
    names = [o.name for o in session.get_outputs()]
    seen = dict(fixed)
    seen.update({n: list(np.shape(v)) for n, v in zip(names, session.run(names, inputs))})
    seen.update({n: list(v.shape) for n, v in inputs.items()})
    return seen


def macs(node, shapes):
    """Of one node, by the shapes of what it reads and writes."""
    attrs = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    a, y = shapes[node.input[0]], shapes[node.output[0]] if node.output[0] else []
    b = shapes[node.input[SECOND.get(node.op_type, 1)]] if node.op_type != "Einsum" else None
    if node.op_type in ("Conv", "ConvInteger", "QLinearConv"):
        return math.prod(y) * math.prod(b[1:])
    if node.op_type == "ConvTranspose":
        return math.prod(a) * math.prod(b[1:])
    if node.op_type in ("Gemm", "QGemm"):
        return math.prod(y) * (a[0] if attrs.get("transA") else a[1])
    if node.op_type in ("MatMul", "MatMulInteger", "QLinearMatMul"):
        return math.prod(y) * a[-1]
    if node.op_type == "FusedMatMul":
        return math.prod(y) * (a[-2] if attrs.get("transA") else a[-1])
    if node.op_type == "MatMulNBits":
        return math.prod(y) * attrs["K"]
    if node.op_type in ("LSTM", "GRU"):
        r = shapes[node.input[2]]
        return a[0] * a[1] * math.prod(r[:2]) * (a[2] + r[2])
    extents = {}
    terms = attrs["equation"].decode().split("->")[0].replace(" ", "").split(",")
    for term, name in zip(terms, node.input):
        extents.update(zip(term, shapes[name]))
    return math.prod(extents.values())
