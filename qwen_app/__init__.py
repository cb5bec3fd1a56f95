"""Chat with Qwen2.5 on your own GPU: a page, an OpenAI-compatible API and the engine behind both."""

import os

__version__ = "0.1.0"

# torch's OpenMP threads spin while they wait for each other. Beside a browser or a client on the same cores, libgomp's
# own patience of some milliseconds makes tokens several times slower; this little costs a few per cent on idle cores.
# libgomp reads it once, when torch is first imported.
os.environ.setdefault("GOMP_SPINCOUNT", "3000")
