"""The path under which a proxy serves everything, such as ``/qwen``: said by a setting or by a trusted proxy.

Behind the wall every path is as if there were none, whether the proxy takes the prefix off or leaves it on; the prefix
itself stands in ``scope["root_path"]``, for addresses that are sent out.
"""

from __future__ import annotations

import re

from starlette.types import Scope

from qwen_app.errors import NotFound
from qwen_app.http.paths import API_PATHS, PAGE_PATHS

_ROOT = re.compile(r"(?:/[A-Za-z0-9._~-]{1,100}){1,8}", re.ASCII)


def root_of(text: str) -> str:
    """``text`` as a prefix without a slash at its end; empty where it is none, or begins as a path of our own does."""
    text = text.strip().rstrip("/")
    is_free = not API_PATHS.holds(text) and not PAGE_PATHS.holds(text)
    return text if _ROOT.fullmatch(text) and "/." not in text and is_free else ""


def below_root(scope: Scope, root: str) -> Scope:
    """``scope`` with ``root`` noted, and taken off its path where it was left on.

    Raises NotFound where more of it would be left. Who routes by ``root_path`` takes it off once more, and would answer
    at another path than the one that was looked at on the way.
    """
    if not root:
        return scope
    path, raw = scope["path"], scope.get("raw_path")
    taken_off = path.startswith(f"{root}/")
    rooted = {**scope, "root_path": root, "path": path[len(root) :] if taken_off else path}
    if taken_off and raw is not None and raw.startswith(root.encode()):
        rooted["raw_path"] = raw[len(root) :]
    if f"{rooted['path']}/".startswith(f"{root}/"):
        raise NotFound("There is nothing at this address. Look whether it has the proxy's path twice.")
    return rooted
