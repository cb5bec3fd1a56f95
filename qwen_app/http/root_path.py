"""The path under which a proxy serves everything, such as ``/qwen``: said by a setting or by a trusted proxy.

Behind the wall every path is as if there were none, whether the proxy takes the prefix off or leaves it on; the prefix
itself stands in ``scope["root_path"]``, for addresses that are sent out.
"""

from __future__ import annotations

import re

from starlette.types import Scope

_ROOT = re.compile(r"(?:/[A-Za-z0-9._~-]{1,100}){1,8}", re.ASCII)


def root_of(text: str) -> str:
    """``text`` as a prefix without a slash at its end; empty where it is none."""
    text = text.strip().rstrip("/")
    return text if _ROOT.fullmatch(text) and "/." not in text else ""


def below_root(scope: Scope, root: str) -> Scope:
    """``scope`` with ``root`` noted, and taken off its path where it was left on."""
    if not root:
        return scope
    path, raw = scope["path"], scope.get("raw_path")
    taken_off = path.startswith(f"{root}/")
    rooted = {**scope, "root_path": root, "path": path[len(root) :] if taken_off else path}
    if taken_off and raw is not None and raw.startswith(root.encode()):
        rooted["raw_path"] = raw[len(root) :]
    return rooted
