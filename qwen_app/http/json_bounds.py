"""What a JSON text may hold, counted in its bytes before a single object is made of them.

A reader that makes objects holds the interpreter until it is done, and 4 MiB can hold two million of them. Counting
bytes costs a few milliseconds, whatever they are.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class JsonBounds:
    """The most of each: values with a comma before them, objects and lists, texts and names of fields."""

    values: int
    containers: int
    texts: int = 2**16

    def refusal(self, raw: bytes) -> str:
        """Why ``raw`` is not read, as a sentence; empty where it may be."""
        quotes = raw.count(b'"') - raw.count(b'\\"')  # at most those that begin or end a text
        if quotes > 2 * self.texts:
            return _too_many("texts and names of fields", self.texts)
        if self._holds(raw):
            return ""
        bare = b"".join(raw.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')[::2])  # what stands in no text
        if bare.count(b"[") + bare.count(b"{") > self.containers:
            return _too_many("objects and lists", self.containers)
        return "" if self._holds(bare) else _too_many("values", self.values)

    def _holds(self, raw: bytes) -> bool:
        return raw.count(b",") <= self.values and raw.count(b"[") + raw.count(b"{") <= self.containers


PAGE_BOUNDS = JsonBounds(values=50_000, containers=10_000)  # what the page itself sends has a few hundred


def _too_many(what: str, limit: int) -> str:
    return f"The body holds more than {limit:,} {what}. Send fewer."
