"""Who sent a request when proxies stand between: only those that a setting names are believed."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import Scope

from qwen_app.http.addresses import address_of
from qwen_app.http.root_path import root_of

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

# Whoever sets one of these speaks for somebody else, who may be anywhere.
FORWARDING_HEADERS = (
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-prefix",
    "x-forwarded-proto",
    "x-real-ip",
    "cf-connecting-ip",
    "true-client-ip",
)


@dataclass(frozen=True, slots=True)
class TrustedProxies:
    """The addresses whose word is taken for who sent a request, by which name, under which path, over https or not."""

    networks: tuple[IPNetwork, ...] = ()

    @classmethod
    def parse(cls, text: str) -> TrustedProxies:
        """From addresses and networks separated by commas. Raises ValueError for anything else."""
        return cls(tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip()))

    def holds(self, text: str) -> bool:
        """Whether the address ``text`` is one of them."""
        address = address_of(text)
        return address is not None and any(address in network for network in self.networks)

    def seen_through(self, scope: Scope) -> Scope:
        """``scope`` as it was sent to the first of these proxies; the same where it came from nobody of them."""
        client = scope.get("client")
        if not client or not self.holds(client[0]):
            return scope
        headers = Headers(scope=scope)
        sender = self._sender(client[0], headers)
        scheme = _last(headers, "x-forwarded-proto")
        host = _last(headers, "x-forwarded-host")
        own = [(name, value) for name, value in scope["headers"] if name.decode("latin-1") not in FORWARDING_HEADERS]
        if host:
            own = [(name, value) for name, value in own if name != b"host"]
            own.append((b"host", host.encode("latin-1")))
        return {
            **scope,
            "client": (sender, 0),
            "scheme": scheme if scheme in ("http", "https") else scope["scheme"],
            "root_path": root_of(_last(headers, "x-forwarded-prefix")),
            "headers": own,
        }

    def _sender(self, peer: str, headers: Headers) -> str:
        """The right-most address that is nobody's of us: what stands left of it, its sender may have made up."""
        hops = [hop for line in headers.getlist("x-forwarded-for") for hop in line.split(",")]
        sender = peer
        for hop in reversed(hops):
            address = address_of(hop)
            if address is None:
                break
            sender = str(address)
            if not self.holds(sender):
                break
        return sender


def without_forwarding(scope: Scope) -> Scope:
    """``scope`` without what only a trusted proxy may say. Nothing behind it can believe it by mistake."""
    kept = [(name, value) for name, value in scope["headers"] if name.decode("latin-1") not in FORWARDING_HEADERS]
    return scope if len(kept) == len(scope["headers"]) else {**scope, "headers": kept}


def _last(headers: Headers, name: str) -> str:
    lines = headers.getlist(name)
    return lines[-1].rpartition(",")[2].strip() if lines else ""
