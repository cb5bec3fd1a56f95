"""Stands in for the frp client and its relay, on loopback: makes a public port that leads to the local one.

Its first lines are the interpreter's, so that it is one executable file with a hash. It does what the file ``orders``
beside it says: ``open``, ``refuse``, ``hang``, ``die``.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from qwen_app.web.share.tunnel import TunnelProgram

SOURCE = """
import socket, sys, threading, time
from pathlib import Path

order = (Path(__file__).parent / "orders").read_text()
arguments = dict(zip(sys.argv[2:], sys.argv[3:]))
if order == "hang":
    time.sleep(600)
if order == "die":
    sys.exit("cannot reach the relay")
if order == "refuse":
    print("login to server failed: authorization failed", flush=True)
    time.sleep(600)

def pump(source, target):
    while data := source.recv(65536):
        target.sendall(data)
    target.shutdown(socket.SHUT_WR)

public = socket.create_server(("127.0.0.1", 0))
print("[I] start proxy success: http://127.0.0.1:%d" % public.getsockname()[1], flush=True)
while True:
    visitor, _ = public.accept()
    if (Path(__file__).parent / "orders").read_text() == "expired":
        visitor.sendall(b"HTTP/1.1 410 Gone\\r\\ncontent-length: 0\\r\\nconnection: close\\r\\n\\r\\n")
        visitor.close()
        continue
    local = socket.create_connection((arguments["-i"], int(arguments["-l"])))
    for pair in ((visitor, local), (local, visitor)):
        threading.Thread(target=pump, args=pair, daemon=True).start()
"""


class StandIn:
    """The program in ``folder``. ``order`` says how it behaves from now on."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        path = folder / "frpc"
        path.write_text(f"#!{sys.executable}\n{SOURCE}")
        path.chmod(0o755)
        self.program = TunnelProgram(path, "http://127.0.0.1:9/none", hashlib.sha256(path.read_bytes()).hexdigest())
        self.order("open")

    def order(self, order: str) -> None:
        (self._folder / "orders").write_text(order)
