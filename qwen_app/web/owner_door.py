"""``./start.sh sessions``: who is logged in, for the app's owner alone, through a socket in the app's folder.

The socket takes no one but the user that runs the app. A line of JSON goes in, ``{"do": ..., "name": ...}`` with
``list``, ``end`` or ``link`` to do, and one comes out.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import struct
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Self

from qwen_app.web.sessions import Sessions

log = logging.getLogger(__name__)

SOCKET = Path("run/owner.sock")
LINE_BYTES = 1_000
USAGE = """usage: ./start.sh sessions              who is logged in
       ./start.sh sessions end NAME     end a session by its id, a user's by the name, or all
       ./start.sh sessions link NAME    a link that logs in as this user, once, within an hour
"""
ELSEWHERE = "From another machine, put the address there that it reaches the page by."
_CREDENTIALS = struct.Struct("3i")  # process, user and group (unix(7), SO_PEERCRED)


class OwnerDoor:
    """Answers the owner's commands about ``sessions``. Where the socket cannot be made there is a warning and no door.

    It is open within ``async with``. ``url`` is where the page is, ``users`` are those that may log in.
    """

    def __init__(self, sessions: Sessions, url: str, users: frozenset[str], path: Path = SOCKET) -> None:
        self.sessions = sessions
        self._url = url
        self._users = users
        self._path = path
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        try:
            self._path.unlink(missing_ok=True)  # of a process that was killed: the folder's lock is ours
            self._server = await asyncio.start_unix_server(self._answer, self._path, limit=LINE_BYTES)
            self._path.chmod(0o600)
        except OSError as refused:
            log.warning("%s cannot be made (%s), so ./start.sh sessions does not work.", self._path, refused.strerror)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server:
            self._server.close()
        with suppress(OSError):
            self._path.unlink(missing_ok=True)

    def run(self, command: object) -> object:
        """What to answer to ``command``."""
        do, name = (str(command.get("do")), str(command.get("name"))) if isinstance(command, dict) else ("", "")
        if do == "list":
            return [asdict(line) for line in self.sessions.lines()]
        if do == "end":
            return {"ended": self.sessions.end_named(name)}
        if do == "link" and name in self._users:
            return {"link": login_link(self._url, self.sessions.invite(name))}
        return {"problem": f"There is no user {name}." if do == "link" else "There is no such command."}

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(5):
                line = await reader.readline()
                allowed = _peer(writer) in (os.getuid(), 0)
                answer = self.run(json.loads(line)) if allowed else {"problem": "This is for the app's owner."}
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()
        except (ValueError, RecursionError, OSError) as odd:  # TimeoutError is an OSError
            log.warning("The owner's socket was sent nothing it knows (%s).", type(odd).__name__)
        finally:
            writer.close()


def login_link(url: str, key: str) -> str:
    """Where one click logs in. The key is not sent by opening it: what is after # stays in the browser."""
    return f"{url}/login#{key}"


def _peer(writer: asyncio.StreamWriter) -> int:
    """The id of the user at the other end."""
    connection: socket.socket = writer.get_extra_info("socket")
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    user: int = _CREDENTIALS.unpack(credentials)[1]
    return user


def ask(command: dict[str, str], path: Path = SOCKET) -> object:
    """The running app's answer. Raises OSError where none runs here, or its socket is not ours."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(path))
        connection.sendall(json.dumps(command).encode() + b"\n")
        with connection.makefile("rb") as answer:
            return json.loads(answer.readline())


def main(arguments: list[str]) -> int:
    do, *names = arguments or ["list"]
    if (do, len(names)) not in (("list", 0), ("end", 1), ("link", 1)):
        sys.stderr.write(USAGE)
        return 2
    try:
        answer = ask({"do": do, "name": "".join(names)})
    except (OSError, ValueError):
        sys.stderr.write("No app that asks for a login runs here, or it belongs to another user.\n")
        return 1
    if isinstance(answer, list):
        sys.stdout.write(_table(answer))
        return 0
    (kind, told), *_ = answer.items() if isinstance(answer, dict) else [("problem", "It did not understand.")]
    sys.stdout.write(f"Sessions ended: {told}.\n" if kind == "ended" else f"{told}\n")
    if kind == "link" and "//127.0.0.1" in str(told):  # apart from the link, which may go to a program
        sys.stderr.write(ELSEWHERE + "\n")
    return kind == "problem"


def _table(lines: list[dict[str, object]]) -> str:
    rows = [("id", "user", "from", "since", "last seen", "open requests")]
    for line in lines:
        ages = (_ago(line["age_s"]), _ago(line["idle_s"]))
        rows.append((str(line["id"]), str(line["user"]), str(line["address"]), *ages, str(line["requests"])))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    printed = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    return "".join(f"{row}\n" for row in printed) if lines else "Nobody is logged in.\n"


def _ago(seconds: object) -> str:
    passed = float(str(seconds))
    for size_s, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if passed >= size_s:
            return f"{passed / size_s:.0f} {unit} ago"
    return f"{passed:.0f} s ago"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
