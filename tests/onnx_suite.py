"""Write the backend test suite of the `onnx` wheel into a folder that `cargo test` reads.

    pip install -r tests/requirements.txt
    python tests/onnx_suite.py target/onnx-suite
    ONNX_SUITE=target/onnx-suite cargo test -- --include-ignored

One `.onnx` file a case, and `index.json`: a list of {kind, name, file, inputs, outputs}. An output is
{name, type, dtype, shape}; for a sequence or optional `shape` is null and `elements` lists what is
in it. An input of at most 1,024 numbers also has its `values`, as exporters would give them as
constants. Nothing is downloaded: models of the suite that live on the network are left out.
"""

import json
import pathlib
import sys
import warnings

import numpy as np
import onnx
from onnx import numpy_helper

SMALL = 1024


def describe(name, value, values=False):
    """Type, shape and, for small tensors, contents."""
    if value is None:
        return {"name": name, "type": "none", "dtype": None, "shape": None}
    if isinstance(value, (list, tuple)):
        inner = [describe("", v) for v in value]
        return {"name": name, "type": "sequence", "dtype": None, "shape": None, "elements": inner}
    if isinstance(value, dict):
        return {"name": name, "type": "map", "dtype": None, "shape": None}
    value = np.asarray(value)
    found = {"name": name, "type": "tensor", "dtype": str(value.dtype), "shape": list(value.shape)}
    if values and value.size <= SMALL and value.dtype.kind in "iubf":
        flat = value.reshape(-1)
        if np.all(np.isfinite(flat.astype(np.float64))):
            found["values"] = flat.astype(float if value.dtype.kind == "f" else int).tolist()
    return found


def decode(proto):
    """A numpy array, list or None from a test's protobuf."""
    if isinstance(proto, onnx.TensorProto):
        return numpy_helper.to_array(proto)
    if isinstance(proto, onnx.SequenceProto):
        return numpy_helper.to_list(proto)
    if isinstance(proto, onnx.OptionalProto):
        return numpy_helper.to_optional(proto)
    return proto


def load(path, value):
    """A test's protobuf, of the type that the model declares for it."""
    kind = value.type.WhichOneof("value")
    proto = {"sequence_type": onnx.SequenceProto, "optional_type": onnx.OptionalProto}
    message = proto.get(kind, onnx.TensorProto)()
    message.ParseFromString(path.read_bytes())
    return decode(message)


def write(folder, index, kind, name, model, inputs, outputs):
    file = folder / kind / f"{name}.onnx"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(model.SerializeToString())
    # Initialisers may be listed as inputs; data are given for the others, in order.
    fixed = {t.name for t in model.graph.initializer}
    given = [v.name for v in model.graph.input if v.name not in fixed]
    index.append(
        {
            "kind": kind,
            "name": name,
            "file": str(file.relative_to(folder)),
            "inputs": [describe(n, v, True) for n, v in zip(given, inputs)],
            "outputs": [describe(o.name, v) for o, v in zip(model.graph.output, outputs)],
        }
    )


def main():
    warnings.simplefilter("ignore")
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    index = []
    from onnx.backend.test.case.node import collect_testcases

    for case in collect_testcases(None):
        inputs, outputs = case.data_sets[0]
        inputs, outputs = [decode(v) for v in inputs], [decode(v) for v in outputs]
        write(folder, index, "node", case.name, case.model, inputs, outputs)
    data = pathlib.Path(onnx.__file__).parent / "backend" / "test" / "data"
    for kind in ("simple", "pytorch-converted", "pytorch-operator"):
        for path in sorted((data / kind).iterdir()):
            model = onnx.load(path / "model.onnx")
            fixed = {t.name for t in model.graph.initializer}
            given = [v for v in model.graph.input if v.name not in fixed]
            sets = path / "test_data_set_0"
            inputs = [load(sets / f"input_{i}.pb", v) for i, v in enumerate(given)]
            outputs = [load(sets / f"output_{i}.pb", v) for i, v in enumerate(model.graph.output)]
            write(folder, index, kind, path.name, model, inputs, outputs)
    for path in sorted((data / "light").glob("*.onnx")):
        model = onnx.load(path)
        values = enumerate(model.graph.output)
        outputs = [load(path.with_name(f"{path.stem}_output_{i}.pb"), v) for i, v in values]
        write(folder, index, "light", path.stem, model, [], outputs)
    (folder / "index.json").write_text(json.dumps(index))
    print(f"{len(index)} cases in {folder}")


if __name__ == "__main__":
    main()
