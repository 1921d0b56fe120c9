"""Flask around onnxruntime: a .npy file in, scores out, saying how long its stages took."""
import io
import os
import time

import numpy as np
import onnxruntime
from flask import Flask, jsonify, request

app = Flask(__name__)
session = onnxruntime.InferenceSession(os.environ["MODEL"])


@app.get("/ready")
def ready():
    return "yes"


@app.post("/predict")
def predict():
    a = time.perf_counter()
    x = np.load(io.BytesIO(request.get_data()), allow_pickle=False)
    b = time.perf_counter()
    y = session.run(None, {"x": x})[0]
    c = time.perf_counter()
    answer = jsonify({"classes": y.argmax(axis=1).tolist(), "scores": y.tolist()})
    d = time.perf_counter()
    ms = [1e3 * (q - p) for p, q in ((a, b), (b, c), (c, d))]
    answer.headers["Server-Timing"] = "pre;dur=%.3f, infer;dur=%.3f, post;dur=%.3f" % tuple(ms)
    return answer
