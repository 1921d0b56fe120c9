"""llama.cpp's own HTTP server, from the wheel xllamacpp.

    llama_server.py FILE.gguf PORT"""

import sys
import time

import xllamacpp

SLOTS = 4

parameters = xllamacpp.CommonParams()
parameters.model.path = sys.argv[1]
parameters.port = int(sys.argv[2])
parameters.hostnames = ["127.0.0.1"]
parameters.endpoint_metrics = True
parameters.n_parallel = SLOTS
parameters.n_ctx = 1024 * SLOTS
parameters.warmup = False
parameters.cpuparams.n_threads = 1
parameters.cpuparams_batch.n_threads = 1
server = xllamacpp.Server(parameters)
print("serving", server.listening_address, flush=True)
while True:
    time.sleep(60)
