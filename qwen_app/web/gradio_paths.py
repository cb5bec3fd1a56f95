"""Which of Gradio's own paths the page's visitors may reach."""

from __future__ import annotations

from qwen_app.http.paths import PathPrefixes

# All that the page's own code and gradio_client use of Gradio's routes. Anything else there is not offered.
_GRADIO = PathPrefixes(["/gradio_api"])
_USED = PathPrefixes(
    f"/gradio_api/{path}"
    for path in (
        "queue/join",
        "queue/data",
        "run/predict",
        "heartbeat",
        "cancel",
        "reset",
        "info",
        "call/chat",
        "call/v2/chat",
        "startup-events",
        "app_id",
    )
)
_NEVER = PathPrefixes(["/monitoring", "/dev", "/login", "/logout"])  # Gradio's own login is not ours


def is_offered(path: str) -> bool:
    """Whether the page's server has anything for visitors at ``path``."""
    if _GRADIO.holds(path):
        return _USED.holds(path)
    return not _NEVER.holds(path)
