"""Writes the seeds of the targets that read what servers and files of users say: `python3 fuzz/seeds.py ROOFLENS`.

ROOFLENS is a built command; it measures a server in this script for the seed of measurements.
"""

import http.server
import json
import pathlib
import struct
import subprocess
import sys
import tempfile
import threading
import zlib

SEEDS = pathlib.Path(__file__).parent / "seeds"


def put(target, seeds):
    folder = SEEDS / target
    folder.mkdir(parents=True, exist_ok=True)
    for name, seed in seeds.items():
        (folder / name).write_bytes(seed if isinstance(seed, bytes) else seed.encode())


put("http", {
    "plain": "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nServer-Timing: pre;dur=1.5, infer;desc=\"x\";dur=8\r\n\r\nabc",
    "chunked": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n10;x=y\r\n0123456789abcdef\r\n0\r\nTrailer: x\r\n\r\n",
    "until_the_end": "HTTP/1.0 503 Busy\r\nConnection: close\r\n\r\nlater",
    "interim": "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\nconnection: keep-alive\r\n\r\n",
    "binary": "HTTP/1.1 200 OK\r\nInference-Header-Content-Length: 2\r\nContent-Length: 6\r\n\r\n{}\0\0\0\0",
    "long": "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n",
})


put("data_set", {
    "bodies": '{"x": [1, 2]}\n\n{"x": [3.5, -1e-3]}\r\n[]',
    "marked": "\ufeff1\n\"caf\u00e9\"\n" * 8,
    "nan": '{"x": NaN}\n',
})

put("record", {
    "floats": b"\x00[[1.5, -2]]",
    "halves": b"\x01[[65504, 1e-8]]",
    "flags": b"\x16[true, false]",
    "texts": b'\x07[["a", {"b64": "/w=="}]]',
    "ragged": b"\x00[[1, 2], [3]]",
    "array": b"\x08" + b"\x93NUMPY\x01\x00" + struct.pack("<H", 60) + b"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }".ljust(59) + b"\n" + struct.pack("<2f", 1, 2),
})

put("location", {
    "absolute": "https://other:8443/new?x=1#part",
    "path": "/new",
    "relative": "../c/./d?y=2",
    "host": "//other/new",
    "query": "?y=2",
    "socket": "http+unix:///run/x.sock:/",
})


def tf_node(name, op, inputs=(), attrs=""):
    read = "".join(f"input: '{i}' " for i in inputs)
    return f"node {{ name: '{name}' op: '{op}' {read}{attrs} }}\n"


def tf_attr(key, value):
    return f"attr {{ key: '{key}' value {{ {value} }} }} "


def tf_const(name, value):
    return tf_node(name, "Const", (), tf_attr("value", f"tensor {{ {value} }}"))


INT = "dtype: DT_INT32 tensor_shape { }"
FED = tf_node("x", "Placeholder", (), tf_attr("dtype", "type: DT_FLOAT") + tf_attr(
    "shape", "shape { dim { size: -1 } dim { size: 6 } }"))
KEPT = tf_const("w", "dtype: DT_FLOAT tensor_shape { dim { size: 6 } dim { size: 6 } } float_val: 1")
ENTER = [tf_node(f"enter_{n}", "Enter", (of,), tf_attr("frame_name", "s: 'f'")
                 + tf_attr("is_constant", f"b: {constant}"))
         for n, of, constant in [("i", "zero", "false"), ("x", "x", "false"), ("w", "w", "true")]]
FRAME = FED + KEPT + tf_const("zero", f"{INT} int_val: 0") + "".join(ENTER) + "".join([
    tf_const("most", f"{INT} int_val: 7"), tf_const("one", f"{INT} int_val: 1"),
    tf_node("m_i", "Merge", ("enter_i", "n_i")), tf_node("m_x", "Merge", ("enter_x", "n_x")),
    tf_node("less", "Less", ("m_i", "most")), tf_node("go", "LoopCond", ("less",)),
    tf_node("s_i", "Switch", ("m_i", "go")), tf_node("s_x", "Switch", ("m_x", "go")),
    tf_node("add", "AddV2", ("s_i:1", "one")), tf_node("y", "MatMul", ("s_x:1", "enter_w")),
    tf_node("n_i", "NextIteration", ("add",)), tf_node("n_x", "NextIteration", ("y",)),
    tf_node("e_x", "Exit", ("s_x",)), tf_node("out", "Relu", ("e_x",))])
CALL = tf_attr("f", "func { name: 'f' }") + tf_attr("Tout", "list { type: DT_FLOAT }")
CALLED = FED + KEPT + tf_node("call", "PartitionedCall", ("x", "w"), CALL) + (
    "library { function { signature { name: 'f' input_arg { name: 'a' } input_arg { name: 'b' } "
    "output_arg { name: 'r' } } node_def { name: 'p' op: 'MatMul' input: 'a' input: 'b' } "
    "ret { key: 'r' value: 'p:product:0' } } }")
PORT = "value {{ name: '{}:0' dtype: DT_FLOAT }}"
SAVED = ("saved_model_schema_version: 1 meta_graphs { meta_info_def { tags: 'serve' } graph_def { "
         + FED + tf_node("v", "VarHandleOp", (), tf_attr("dtype", "type: DT_FLOAT")
                         + tf_attr("shape", "shape { dim { size: 6 } dim { size: 2 } }"))
         + tf_node("read", "ReadVariableOp", ("v",)) + tf_node("y", "MatMul", ("x", "read"))
         + "} signature_def { key: 'a' value { inputs { key: 'x' " + PORT.format("x")
         + " } outputs { key: 'y' " + PORT.format("y") + " } } } }")
CHOICE = FED + tf_node("flag", "Placeholder", (), tf_attr("dtype", "type: DT_BOOL") + tf_attr(
    "shape", "shape { }")) + "versions { producer: 99 }" + tf_node("s", "Switch", ("x", "flag")) + (
    tf_node("a", "Relu", ("s",)) + tf_node("b", "Tanh", ("s:1",)) + tf_node("m", "Merge", ("a", "b")))


def field(number, contents):
    def varint(n):
        return bytes([n]) if n < 128 else bytes([n & 127 | 128]) + varint(n >> 7)
    return varint(number << 3 | 2) + varint(len(contents)) + contents


def binary_node(name, op, inputs=(), attrs=()):
    node = field(1, name) + field(2, op) + b"".join(field(3, i) for i in inputs)
    return field(1, node + b"".join(field(5, field(1, k) + field(2, v)) for k, v in attrs))


SIZES = field(7, field(2, b"\x08\x04") + field(2, b"\x08\x04"))
put("tf", {
    "frame.pbtxt": FRAME, "called.pbtxt": CALLED, "saved.pbtxt": SAVED, "choice.pbtxt": CHOICE,
    "graph.pb": binary_node(b"x", b"Placeholder", (), [(b"dtype", b"\x30\x01"), (b"shape", SIZES)])
    + binary_node(b"y", b"MatMul", (b"x", b"x"), [(b"transpose_b", b"\x28\x01")]),
})


def message(how, status, body):
    return bytes([how]) + status + b"\0" + struct.pack(">I", len(body)) + body


TINY = {"hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 32}
put("config", {
    "llama": json.dumps({"model_type": "llama", **TINY}),
    "experts": json.dumps({"model_type": "mixtral", "num_key_value_heads": 1, **TINY}),
    "packed": json.dumps({"model_type": "gpt_oss", **TINY, "quantization_config": {"quant_method": "mxfp4"}}),
    "encoder": json.dumps({"architectures": ["BertModel"], **TINY}),
    "speech": json.dumps({"model_type": "whisper", "d_model": 8, "vocab_size": 32}),
    "vision": json.dumps({"model_type": "llava", "text_config": TINY, "vision_config": {"image_size": 28, "patch_size": 14}}),
})
put("safetensors", {
    "two": '{"a":{"dtype":"BF16","shape":[2,1],"data_offsets":[0,4]},"b":{"dtype":"F4","shape":[6],"data_offsets":[4,7]}}1234567',
    "note": '{"__metadata__":{"format":"pt"},"c":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}1234',
})


def gguf(order):
    text = lambda s: struct.pack(order + "Q", len(s)) + s.encode()
    keys = {"block_count": 1, "embedding_length": 8, "feed_forward_length": 16, "attention.head_count": 2}
    tensors = {"token_embd": (32, 8), "output_norm": (8,), **{f"blk.0.{n}": s for n, s in {
        "attn_norm": (8,), "attn_q": (8, 8), "attn_k": (8, 8), "attn_v": (8, 8), "attn_output": (8, 8), "ffn_norm": (8,),
        "ffn_gate": (16, 8), "ffn_up": (16, 8), "ffn_down": (8, 16)}.items()}}
    out = struct.pack(order + "IQQ", 3, len(tensors), len(keys) + 1)
    out += text("general.architecture") + struct.pack(order + "I", 8) + text("llama")
    out += b"".join(text("llama." + k) + struct.pack(order + "II", 4, v) for k, v in keys.items())
    offset = 0
    for name, shape in tensors.items():
        out += text(name + ".weight") + struct.pack(order + "I", len(shape))
        out += b"".join(struct.pack(order + "Q", n) for n in reversed(shape)) + struct.pack(order + "IQ", 0, offset)
        offset += 4 * shape[0] * (shape + (1,))[1]
    return out + bytes(-(len(out) + 4) % 32 + offset)


put("gguf", {"little": gguf("<"), "big": gguf(">")})

put("grpc", {
    "one_frame": message(2 | 63 << 2, b"0", b"\x0a\x01x"),
    "frames_of_one_byte": message(2, b"0", b"\x0a\x03xyz"),
    "in_the_head": message(1 | 4 << 2, b"5", b""),
    "no_status": message(8 << 2, b"0", b"abc"),
    "compressed": bytes([2]) + b"0" + b"\x01\0\0\0\1x",
})

TFS = ":tensorflow:serving:request_latency"


def page(factor):
    return f"""# HELP {TFS} time
# TYPE {TFS} histogram
{TFS}_bucket{{model_name="m",le="10"}} {5 * factor}
{TFS}_bucket{{model_name="m",le="+Inf"}} {7 * factor}
{TFS}_sum{{model_name="m"}} {25 * factor}
{TFS}_count{{model_name="m"}} {7 * factor}
# TYPE nv_inference_count counter
nv_inference_count{{model="m",version="1"}} {100 * factor}
# TYPE queue gauge
queue 3 1700000000000
odd{{a="x\\"y\\\\z\\n",b="}}"}} NaN
# TYPE s summary
s{{quantile="0.5"}} 1e-3
s_sum {factor}
s_count {factor}
"""


put("prometheus", {"rising": page(1) + "\0" + page(3), "restarted": page(3) + "\0" + page(1), "one": page(2)})


def npy(descr, shape, data, version=1):
    head = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    length = struct.pack("<H" if version == 1 else "<I", len(head))
    return b"\x93NUMPY" + bytes([version, 0]) + length + head + data


put("npy", {
    "floats": npy("<f4", "(1, 2)", struct.pack("<2f", 1, -0.5)),
    "halves": npy("<f2", "(2,)", b"\0\x3c\xff\x7b"),
    "flags": npy("|b1", "(1, 1, 3)", b"\0\1\1"),
    "scalar": npy("<i8", "()", struct.pack("<q", -7), 2),
    "empty": npy("<u2", "(0, 4)", b"", 3),
})


def histogram(counts):
    numbers = bytearray()
    for count in counts:
        zigzag = count << 1 if count >= 0 else (-count << 1) - 1
        while zigzag >= 0x80:
            numbers.append(zigzag & 0x7F | 0x80)
            zigzag >>= 7
        numbers.append(zigzag)
    inner = struct.pack(">IIIIQQd", 0x1C849303, len(numbers), 0, 3, 1, 3_600_000_000_000, 1.0) + numbers
    packed = zlib.compress(inner)
    return struct.pack(">II", 0x1C849304, len(packed)) + packed


def log(tags):
    import base64

    lines = ["#nanoseconds; see the tags", "#[StartTime: 1700000000.000 (seconds since epoch)]"]
    for index, tag in enumerate(tags):
        text = base64.b64encode(histogram([-1000 - index, 3, -4000, 1])).decode()
        lines.append(f"Tag={tag},{0.05 * index:.3f},0.050,1.500,{text}")
    return "\n".join(lines) + "\n"


put("hlog", {"tags": log(["response", "service", "lag", "lateness"]), "unknown_tag": log(["other"]), "empty": "#nothing\n"})

span = {"count": 10, "ns": 1000}
statistics = {"model_stats": [{
    "name": "m", "version": "1", "inference_count": 20, "execution_count": 10,
    "inference_stats": {s: span for s in ["success", "fail", "queue", "compute_input", "compute_infer", "compute_output"]},
    "batch_stats": [{"batch_size": 2, "compute_input": span, "compute_infer": span, "compute_output": span}],
}]}


def field(number, value):
    if isinstance(value, bytes):
        return bytes([number << 3 | 2, len(value)]) + value
    return bytes([number << 3, value])


once = field(1, 10) + field(2, 100)
stages = b"".join(field(n, once) for n in [1, 3, 4, 5, 6])
batch = field(1, 2) + field(2, once) + field(3, once) + field(4, once)
model = field(1, b"m") + field(4, 20) + field(5, 10) + field(6, stages) + field(7, batch)
put("triton", {
    "json": json.dumps(statistics),
    "message": field(1, model),
    "configuration": field(1, field(7, field(2, 3) + field(3, bytes([0, 1])))),
})

put("trace", {
    "mooncake": '{"timestamp": 0, "input_length": 6955, "hash_ids": [46, 47]}\n{"timestamp": 3000, "input_length": 1}\n',
    "lines_of_dates": '{"time": "2026-02-28T23:59:59Z"}\n{"time": "2026-03-01T00:00:00.5Z"}\n',
    "milliseconds": "timestamp_ms\n0\n1500\n",
    "own": "t_ns\n5\n1000000005\n",
    "azure_2019": "HashOwner,HashApp,HashFunction,Trigger,1,2\no,a,f,http,3,0\no,a,g,http,0,2\n",
    "azure_2021": "app,func,end_timestamp,duration\na,f,10.5,0.5\na,f,10.0,1.5\n",
    "azure_llm": "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-30 23:59:59.5,1,2\n2023-12-01 00:00:01.0,1,2\n",
    "burst_gpt": "Timestamp,Session ID,Model\n5,1,x\n5,2,x\n7,3,y\n",
    "plain": "0.5\n0.25\n1\n",
    "quoted": "\ufeff\"app, or not\",\"time\"\r\n\"a,b\",\"1\"\r\n\"say \"\"c\"\"\", 3\r\n",
})

devices = SEEDS.parent.parent / "hwdb"
put("device", {name: (devices / name).read_bytes() for name in ["nvidia-t4.toml", "amd-epyc-9654.toml"]})


class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Server-Timing", "infer;dur=0.5")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
threading.Thread(target=server.serve_forever, daemon=True).start()
with tempfile.TemporaryDirectory() as folder:
    url = f"http://127.0.0.1:{server.server_port}/"
    subprocess.run(
        [sys.argv[1], "probe", url, "--load", "steady:20", "--seconds", "1", "--warm-up", "0", "-o", f"{folder}/own"],
        check=False,
    )
    folder = pathlib.Path(folder) / "own"
    # The first forty intervals: seeds are to be small.
    file = json.loads((folder / "measurement.json").read_bytes())
    file["intervals"]["rows"] = file["intervals"]["rows"][:40]
    for stage in file["intervals"]["stages"]:
        stage["rows"] = [row for row in stage["rows"] if row[0] < 40]
    end = 40e-9 * file["intervals"]["step_nanoseconds"]
    rows = (folder / "intervals.hlog").read_text().splitlines(keepends=True)
    rows = [r for r in rows if not r.startswith("Tag") or float(r.split(",")[1]) < end - 1e-9]
    put("measurement", {"own": json.dumps(file, separators=(",", ":")) + "\0" + "".join(rows)})
