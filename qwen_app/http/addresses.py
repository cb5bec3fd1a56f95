"""Hosts and loopback: whether a name or an address means this machine alone."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

THIS_MACHINE = "this machine"
IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
_IPV6_HOUSEHOLD = 64  # bits; whoever has one IPv6 address has all with the same beginning


def is_loopback(host: str) -> bool:
    """Whether ``host``, a name or an address without a port, can only be reached from this machine."""
    try:
        return host.lower() == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def address_of(text: str) -> IPAddress | None:
    """The IP address in ``text``, which may have a port or brackets; None where there is none."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def household_of(text: str) -> str:
    """What is counted together with the address ``text``: an IPv4 address alone, an IPv6 address with its network."""
    address = address_of(text)
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, _IPV6_HOUSEHOLD), strict=False))
    return str(address or text)


def user_at(address: str) -> str:
    """The user that everybody at ``address`` is who has no login. All of this machine's addresses are one, and so are
    all of a household's."""
    return THIS_MACHINE if not address or is_loopback(address) else household_of(address)


def host_of_url(url: str) -> str:
    """The host of ``url`` in lower case, without port and brackets; empty where there is none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:  # brackets that hold no address
        return ""


def host_of_header(value: str) -> str:
    """The host in a ``Host`` header, such as ``localhost`` of ``localhost:7860``; empty where there is none."""
    return host_of_url(f"//{value}")
