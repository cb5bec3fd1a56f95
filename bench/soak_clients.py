"""Users of ``bench.soak``, in a process of their own: each asks again and again, and looks at what it is given.

Reads its order from standard input, as JSON; writes what it saw, as JSON. Every question holds a word that nobody else
uses, and the server's stand-in for a model says the question back: so an answer shows whose it is.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import socket
import struct
import sys
import time
from collections import Counter

CANARY = re.compile(rb"canary-(\d+)-\d+")
RETRY_AFTER = re.compile(rb"(?i)\r\nretry-after: (\d+)")
PATIENCE_S = 60.0
KINDS = ("streamed", "whole", "left", "wrong")  # an answer in pieces, in one, left in its middle; a body that is none
WEIGHTS = (5, 3, 1, 1)
EXPECTED = {"streamed": (200, 429), "whole": (200, 429), "left": (200, 429), "wrong": (400, 429)}


class Users:
    """``count`` users of the server at ``port``, until ``seconds`` are over."""

    def __init__(self, port: int, count: int, seconds: float) -> None:
        self._port = port
        self._count = count
        self._end = time.monotonic() + seconds
        self.statuses: Counter[str] = Counter()
        self.unplanned: Counter[str] = Counter()
        self.strangers = 0  # answers with somebody else's word in them
        self.lost = 0  # whole answers without one's own

    async def run(self) -> None:
        await asyncio.gather(*map(self._use, range(self._count)))

    async def _use(self, number: int) -> None:
        chance, asked = random.Random(number), 0
        while time.monotonic() < self._end:
            (kind,) = chance.choices(KINDS, WEIGHTS)
            asked += 1
            try:
                async with asyncio.timeout(PATIENCE_S):
                    answer = await self._ask(number, asked, kind)
            except (OSError, asyncio.IncompleteReadError) as broke:  # TimeoutError is an OSError
                self.unplanned[type(broke).__name__] += 1
                continue
            self._judge(number, asked, kind, answer)
            await asyncio.sleep(told_to_wait_s(answer) or chance.random() * 0.2)

    async def _ask(self, number: int, asked: int, kind: str) -> bytes:
        question = f"canary-{number}-{asked} " + "word " * (asked % 50)
        body = {"model": "default", "messages": [{"role": "user", "content": question}], "stream": kind != "whole"}
        content = b'{"messages": 1' if kind == "wrong" else json.dumps(body).encode()
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nAuthorization: Bearer key-{number}"
        )
        fields = f"\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\nConnection: close\r\n\r\n"
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            writer.write((head + fields).encode() + content)
            if kind != "left":
                return await reader.read(-1)
            start = await reader.read(200)
            connection = writer.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # gone, without a word
            return start
        finally:
            writer.close()

    def _judge(self, number: int, asked: int, kind: str, answer: bytes) -> None:
        status = int(answer[9:12]) if answer[9:12].isdigit() else 0
        self.statuses[f"{kind} {status}"] += 1
        if status not in EXPECTED[kind]:
            self.unplanned[f"{kind} {status}"] += 1
        self.strangers += any(found != str(number).encode() for found in CANARY.findall(answer))
        if status == 200 and kind in ("streamed", "whole"):
            self.lost += f"canary-{number}-{asked}".encode() not in answer


def told_to_wait_s(answer: bytes) -> float:
    """What a refused client is asked to wait, as OpenAI's own clients do; 0 where nothing is said."""
    told = RETRY_AFTER.search(answer.partition(b"\r\n\r\n")[0])
    return float(told[1]) if told else 0.0


def main() -> None:
    users = Users(**json.load(sys.stdin))
    asyncio.run(users.run())
    seen = {name: value for name, value in vars(users).items() if not name.startswith("_")}
    json.dump(seen, sys.stdout)


if __name__ == "__main__":
    main()
