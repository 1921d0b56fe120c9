"""FastAPI around onnxruntime, saying how long its stages took."""
import os
import time

import numpy as np
import onnxruntime
from fastapi import FastAPI, Request, Response

app = FastAPI()
session = onnxruntime.InferenceSession(os.environ["MODEL"])


@app.post("/predict")
async def predict(request: Request, response: Response):
    body = await request.json()
    a = time.perf_counter()
    x = np.asarray(body["x"], dtype=np.float32).reshape(1, 3, 32, 32)
    b = time.perf_counter()
    y = session.run(None, {"x": x})[0]
    c = time.perf_counter()
    answer = {"class": int(y.argmax()), "scores": y[0].tolist()}
    d = time.perf_counter()
    ms = [1e3 * (q - p) for p, q in ((a, b), (b, c), (c, d))]
    response.headers["Server-Timing"] = "pre;dur=%.3f, infer;dur=%.3f, post;dur=%.3f" % tuple(ms)
    return answer
