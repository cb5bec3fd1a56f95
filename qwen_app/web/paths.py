"""Which of the server's paths belong to whom."""

from __future__ import annotations

# The API guards these itself: with its keys, or by answering this machine alone.
API_PREFIXES = ("/v1", "/health", "/ready", "/metrics", "/tokenize", "/detokenize")

# All that the page's own code and gradio_client use of Gradio's routes. Anything else there is not offered.
_GRADIO = "/gradio_api/"
_GRADIO_USED = (
    "queue/join",
    "queue/data",
    "run/predict",
    "heartbeat/",
    "cancel",
    "reset",
    "info",
    "call/chat",
    "call/v2/chat",
    "upload",
    "startup-events",
    "app_id",
)
_NEVER = ("/monitoring", "/dev/")


def is_api(path: str) -> bool:
    """Whether the API answers ``path`` and lets in whom it knows."""
    return any(path == prefix or path.startswith(prefix + "/") for prefix in API_PREFIXES)


def is_offered(path: str) -> bool:
    """Whether the page's server has anything for visitors at ``path``."""
    if path.startswith(_GRADIO):
        return path.removeprefix(_GRADIO).startswith(_GRADIO_USED)
    return not path.startswith(_NEVER)
