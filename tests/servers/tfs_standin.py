"""A stand-in for TensorFlow Serving, whose binary is in no package registry.

This is not TensorFlow Serving. It serves the REST and gRPC API that TensorFlow Serving publishes (the
package tensorflow-serving-api) for one real SavedModel, which real TensorFlow executes:

    tfs_standin.py SAVED_MODEL NAME [--rest PORT] [--grpc PORT] [--grpc-tls PORT CERTIFICATE KEY]
"""
import argparse
import json
import os
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf.json_format import MessageToDict
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import get_model_metadata_pb2, predict_pb2, prediction_service_pb2_grpc

parser = argparse.ArgumentParser()
parser.add_argument("saved_model")
parser.add_argument("name")
parser.add_argument("--rest", type=int)
parser.add_argument("--grpc", type=int)
parser.add_argument("--grpc-tls", nargs=3)
args = parser.parse_args()

VERSION = 1
SIGNATURE = "serving_default"
loaded = tf.saved_model.load(args.saved_model)
function = loaded.signatures[SIGNATURE]
file = saved_model_pb2.SavedModel()
with open(os.path.join(args.saved_model, "saved_model.pb"), "rb") as handle:
    file.ParseFromString(handle.read())
signatures = file.meta_graphs[0].signature_def
declared = signatures[SIGNATURE].inputs


class Wrong(Exception):
    """A request that names something that is not there, or gives it wrongly."""


def run(inputs):
    if sorted(inputs) != sorted(declared):
        raise Wrong(f"inputs are {sorted(declared)}, not {sorted(inputs)}")
    return {name: value.numpy() for name, value in function(**inputs).items()}


def metadata():
    answer = get_model_metadata_pb2.GetModelMetadataResponse()
    answer.model_spec.name = args.name
    answer.model_spec.version.value = VERSION
    map_of_signatures = get_model_metadata_pb2.SignatureDefMap()
    for name, signature in signatures.items():
        map_of_signatures.signature_def[name].CopyFrom(signature)
    answer.metadata["signature_def"].Pack(map_of_signatures)
    return answer


class Prediction(prediction_service_pb2_grpc.PredictionServiceServicer):
    def check(self, spec, context):
        if spec.name != args.name or spec.version.value not in (0, VERSION):
            context.abort(grpc.StatusCode.NOT_FOUND, f"Servable not found for request: {spec.name}")

    def GetModelMetadata(self, request, context):
        self.check(request.model_spec, context)
        if list(request.metadata_field) != ["signature_def"]:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "Metadata field is not supported")
        return metadata()

    def Predict(self, request, context):
        self.check(request.model_spec, context)
        try:
            outputs = run({name: tf.constant(tf.make_ndarray(t)) for name, t in request.inputs.items()})
        except (Wrong, ValueError, TypeError, tf.errors.OpError) as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        answer = predict_pb2.PredictResponse()
        answer.model_spec.CopyFrom(request.model_spec)
        for name, value in outputs.items():
            proto = answer.outputs[name]
            proto.dtype = tf.as_dtype(value.dtype).as_datatype_enum
            for size in value.shape:
                proto.tensor_shape.dim.add().size = size
            # TensorFlow Serving answers in typed fields, not in tensor_content.
            proto.float_val.extend(value.ravel().tolist())
        return answer


class Rest(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def log_message(self, *_):
        pass

    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def base(self):
        for base in (f"/v1/models/{args.name}/versions/{VERSION}", f"/v1/models/{args.name}"):
            if self.path.startswith(base):
                return self.path[len(base) :]
        return None

    def do_GET(self):
        match self.base():
            case "/metadata":
                value = metadata()
                answer = MessageToDict(value, preserving_proto_field_name=True)
                unpacked = get_model_metadata_pb2.SignatureDefMap()
                value.metadata["signature_def"].Unpack(unpacked)
                answer["metadata"]["signature_def"] = MessageToDict(unpacked, preserving_proto_field_name=True)
                self.answer(200, answer)
            case "":
                status = {"error_code": "OK", "error_message": ""}
                state = {"version": str(VERSION), "state": "AVAILABLE", "status": status}
                self.answer(200, {"model_version_status": [state]})
            case _:
                self.answer(404, {"error": f"Servable not found for request: {self.path}"})

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.base() != ":predict":
            return self.answer(404, {"error": f"Servable not found for request: {self.path}"})
        try:
            outputs, key = self.predict(json.loads(body))
        except (Wrong, ValueError, TypeError, KeyError, tf.errors.OpError) as error:
            return self.answer(400, {"error": str(error)})
        # One output stands alone.
        outputs = {name: value.tolist() for name, value in outputs.items()}
        if key == "outputs":
            value = next(iter(outputs.values())) if len(outputs) == 1 else outputs
        else:
            rows = [dict(zip(outputs, row)) for row in zip(*outputs.values())]
            value = [next(iter(row.values())) for row in rows] if len(outputs) == 1 else rows
        self.answer(200, {key: value})

    def predict(self, request):
        if request.get("signature_name", SIGNATURE) != SIGNATURE:
            raise Wrong("Serving signature name not found")
        if "inputs" in request:
            given, key = request["inputs"], "outputs"
            if not isinstance(given, dict):
                given = {next(iter(declared)): given}
        else:
            rows, key = request["instances"], "predictions"
            rows = [row if isinstance(row, dict) else {next(iter(declared)): row} for row in rows]
            given = {name: [row[name] for row in rows] for name in declared}
        types = {name: tf.as_dtype(info.dtype).as_numpy_dtype for name, info in declared.items()}
        return run({n: tf.constant(np.asarray(v, dtype=types.get(n))) for n, v in given.items()}), key


server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Prediction(), server)
if args.grpc:
    server.add_insecure_port(f"127.0.0.1:{args.grpc}")
if args.grpc_tls:
    port, certificate, key = args.grpc_tls
    with open(key, "rb") as k, open(certificate, "rb") as c:
        pair = (k.read(), c.read())
    server.add_secure_port(f"127.0.0.1:{port}", grpc.ssl_server_credentials([pair]))
server.start()
if args.rest:
    ThreadingHTTPServer(("127.0.0.1", args.rest), Rest).serve_forever()
server.wait_for_termination()
