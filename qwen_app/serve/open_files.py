"""How many files and connections the process may have open: as many as the system lets it."""

from __future__ import annotations

import resource
from dataclasses import replace

from qwen_app.serve.connections import ConnectionLimits

_MOST = 1_048_576  # where the system names no limit
_OTHERS = 256  # for everything but connections: the model's files, pipes, logs, and connections just accepted


def raise_open_files() -> int:
    """Raise the soft limit of open files to the hard one; the limit from here on."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST if hard == resource.RLIM_INFINITY else hard
    if wanted > soft:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (ValueError, OSError):  # the kernel's own limit is lower
            return soft
    return max(soft, wanted)


def connection_limits(open_files: int) -> ConnectionLimits:
    """What ``open_files`` leave for connections."""
    limits = ConnectionLimits()
    in_all = max(16, min(limits.in_all, open_files - _OTHERS - limits.reserve))
    return replace(limits, in_all=in_all, per_address=max(8, min(limits.per_address, in_all // 2)))
