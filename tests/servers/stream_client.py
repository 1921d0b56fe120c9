"""A client of streamed chats that shares nothing with rooflens: what it measures is held against the probe.

    stream_client.py PORT REQUESTS PROMPT-WORDS ANSWER-TOKENS

Prints one JSON object: medians of the times to the first piece, per token and of the whole answer, in seconds; tokens and
pieces of an answer; the milliseconds that the server says it took."""

import json
import random
import socket
import statistics
import sys
import time

PORT, REQUESTS, WORDS, TOKENS = (int(argument) for argument in sys.argv[1:5])


def body(number):
    chooser = random.Random(time.time_ns() + number)
    text = " ".join(chooser.choice(["tree", "rain", "ship", "gold"]) for _ in range(WORDS))
    return json.dumps(
        {
            "model": "small",
            "messages": [{"role": "user", "content": text}],
            "max_tokens": TOKENS,
            "ignore_eos": True,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
    ).encode()


def events(connection):
    """Each event with the time at which it was there."""
    rest = b""
    while True:
        piece = connection.recv(65536)
        now = time.perf_counter()
        if not piece:
            return
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            if line.startswith(b"data: "):
                text = line[len(b"data: ") :].strip()
                if text == b"[DONE]":
                    return
                yield now, json.loads(text)


def once(number):
    content = body(number)
    connection = socket.create_connection(("127.0.0.1", PORT))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    begin = time.perf_counter()
    connection.sendall(
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(content)
        + content
    )
    pieces, usage, timings, last = [], {}, {}, begin
    for last, event in events(connection):
        usage = event.get("usage") or usage
        timings = event.get("timings") or timings
        if any((choice.get("delta") or {}).get("content") for choice in event.get("choices", [])):
            pieces.append(last)
    connection.close()
    tokens = usage["completion_tokens"]
    return {
        "ttft": pieces[0] - begin,
        "tpot": (pieces[-1] - pieces[0]) / (tokens - 1),
        "e2e": last - begin,
        "input": usage["prompt_tokens"],
        "tokens": tokens,
        "pieces": len(pieces),
        "server_ms": timings.get("prompt_ms", 0.0) + timings.get("predicted_ms", 0.0),
    }


runs = [once(number) for number in range(REQUESTS)]
print(json.dumps({name: statistics.median(run[name] for run in runs) for name in runs[0]}))
