"""RemoteEngine: answers through any OpenAI-compatible server."""

from qwen_app.engine.remote.engine import RemoteEngine

__all__ = ["RemoteEngine"]
