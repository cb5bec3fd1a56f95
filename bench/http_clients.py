"""Clients of ``bench.http``, in a process of their own so that their work is not billed to the server.

Reads from standard input what to ask, as JSON; writes what it took, as JSON. Raw sockets: a real client's library would
cost more than the server that is measured.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from dataclasses import asdict, dataclass

TEXT_CHUNK = b'"delta":{"content":'


@dataclass(frozen=True, slots=True)
class Took:
    """One answer: tokens, and seconds from the request to its first text and to its end."""

    tokens: int
    first_token_s: float
    total_s: float


@dataclass(frozen=True, slots=True)
class SwarmReport:
    wall_s: float
    answers: tuple[Took, ...]


async def ask(port: int, prompt: str, tokens: int) -> Took:
    body = json.dumps(
        {
            "model": "default",
            "messages": [{"role": "user", "content": prompt}],
            "temperature": 0,
            "max_tokens": tokens,
            "min_tokens": tokens,
            "ignore_eos": True,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
    ).encode()
    started = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = (
        f"Host: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    writer.write(f"POST /v1/chat/completions HTTP/1.1\r\n{head}".encode() + body)
    first_s, usage = 0.0, b""
    async for line in reader:
        if not first_s and TEXT_CHUNK in line:
            first_s = time.perf_counter() - started
        elif b'"usage":{' in line:
            usage = line
    writer.close()
    if not usage:
        raise RuntimeError("an answer had no usage: it failed, or the server refused it")
    made = json.loads(usage.removeprefix(b"data: "))["usage"]["completion_tokens"]
    return Took(made, first_s, time.perf_counter() - started)


async def swarm(port: int, prompts: list[str], tokens: int, repeat: int) -> SwarmReport:
    """A client for each prompt, which asks it ``repeat`` times, all clients at once."""

    async def client(prompt: str) -> list[Took]:
        return [await ask(port, prompt, tokens) for _ in range(repeat)]

    _, warm = await asyncio.open_connection("127.0.0.1", port)  # the first connection of a process is slow
    warm.close()
    started = time.perf_counter()
    answers = await asyncio.gather(*map(client, prompts))
    return SwarmReport(time.perf_counter() - started, tuple(itertools.chain(*answers)))


if __name__ == "__main__":
    json.dump(asdict(asyncio.run(swarm(**json.load(sys.stdin)))), sys.stdout)
