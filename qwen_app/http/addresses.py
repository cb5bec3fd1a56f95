"""Hosts and loopback: whether a name or an address means this machine alone."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

THIS_MACHINE = "this machine"


def is_loopback(host: str) -> bool:
    """Whether ``host``, a name or an address without a port, can only be reached from this machine."""
    try:
        return host.lower() == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def user_at(address: str) -> str:
    """The user that everybody at ``address`` is who has no login. All of this machine's addresses are one."""
    return THIS_MACHINE if not address or is_loopback(address) else address


def host_of_url(url: str) -> str:
    """The host of ``url`` in lower case, without port and brackets; empty where there is none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:  # brackets that hold no address
        return ""


def host_of_header(value: str) -> str:
    """The host in a ``Host`` header, such as ``localhost`` of ``localhost:7860``; empty where there is none."""
    return host_of_url(f"//{value}")
