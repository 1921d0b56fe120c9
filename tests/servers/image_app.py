"""FastAPI that classifies JPEG files: decode, resize, normalise, model, best five.

Two stages with a queue before each: PRE_WORKERS threads prepare images, and one thread runs the model
as one accelerator would. Server-Timing says how long a request waited for and spent in each.
"""
import asyncio
import os
import time
from concurrent.futures import ThreadPoolExecutor

import onnxruntime
from fastapi import FastAPI, Request, Response
from preparation import prepare

app = FastAPI()
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(os.environ["IMAGE_MODEL"], options)
prepare_pool = ThreadPoolExecutor(int(os.environ.get("PRE_WORKERS", "1")))
model_pool = ThreadPoolExecutor(1)


def infer(x):
    return session.run(None, {"x": x})[0][0]


def timed(work, argument):
    begin = time.perf_counter()
    result = work(argument)
    return result, begin, time.perf_counter()


@app.post("/classify")
async def classify(request: Request, response: Response):
    data = await request.body()
    loop = asyncio.get_running_loop()
    asked = time.perf_counter()
    x, pre_begin, pre_end = await loop.run_in_executor(prepare_pool, timed, prepare, data)
    y, infer_begin, infer_end = await loop.run_in_executor(model_pool, timed, infer, x)
    post_begin = time.perf_counter()
    best = [int(i) for i in y.argsort()[::-1][:5]]
    answer = {"classes": best, "scores": y.tolist()}
    ms = [
        1e3 * (b - a)
        for a, b in (
            (asked, pre_begin),
            (pre_begin, pre_end),
            (pre_end, infer_begin),
            (infer_begin, infer_end),
            (post_begin, time.perf_counter()),
        )
    ]
    response.headers["Server-Timing"] = (
        "queue-pre;dur=%.3f, pre;dur=%.3f, queue-infer;dur=%.3f, infer;dur=%.3f, post;dur=%.3f" % tuple(ms)
    )
    return answer
