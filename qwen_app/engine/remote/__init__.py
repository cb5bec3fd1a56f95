"""The remote engine: answers through any OpenAI-compatible server, for when one card is not enough.

It may import ``connection``, the engine's contract and fair queue, messages, errors, OpenAI's shapes, the tool texts,
and JSON's text and its checks (``structured``, ``sandbox``).
Start at engine.py, then upstream_answer.py: one request's way.
"""

from qwen_app.engine.remote.engine import RemoteEngine

__all__ = ["RemoteEngine"]
