"""A server whose model's step, or a thread beside it, never returns. Run by test_stuck_process.py, which says what."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from pathlib import Path

from fastapi import FastAPI

from qwen_app.serve import ending, server
from qwen_app.serve.build import App
from qwen_app.serve.logs import set_up_logs
from qwen_app.service import Service
from qwen_app.settings import Settings

FOREVER_S = 3600.0


def say(what: object) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


def hang(_: object = None) -> None:
    say("stuck")
    time.sleep(FOREVER_S)


def load_with(model: Path, watchdog_s: float) -> App:
    """The local engine, stuck in its first step, and the API."""
    from qwen_app.api.install import install_api
    from qwen_app.engine.local.build import build_local_engine, local_compute_parts
    from qwen_app.http.middleware import install_request_middleware
    from tests.engine.local.tiny import FaultyRunner, load_talkative

    loaded = load_talkative(model)
    parts = local_compute_parts(loaded, slots=4, context_tokens=1024)
    runner = FaultyRunner(parts.runner)
    runner.before = hang
    parts.runner = runner
    engine = build_local_engine(
        loaded, slots=4, context_tokens=1024, parts=parts, watchdog_s=watchdog_s, on_fatal=ending.end_process
    )
    app, service = FastAPI(), Service(engine)
    install_api(app, service, Settings())
    install_request_middleware(app)
    return App(app, service)


def load_beside_a_thread(kind: str) -> App:
    """The scripted engine, and a thread that would hold the exit."""
    from qwen_app.testing.scripted_engine import ScriptedEngine

    app = FastAPI()
    if kind == "executor":
        app.get("/hang")(hang)  # a plain function, so it runs on a thread of the web server's pool
    elif kind == "thread":
        threading.Thread(target=hang).start()
    elif kind == "loop":

        @app.get("/hang")
        async def block() -> None:
            say("stuck")
            while True:
                pass

    return App(app, Service(ScriptedEngine()))


def main(kind: str, model: Path, watchdog_s: float, end_s: float) -> int:
    """``end_s`` from signal to end at most; the drain gets half of that."""
    server.DRAIN_S = end_s / 2
    ending.END_S = end_s
    set_up_logs("info", None)
    listener = server.listen("127.0.0.1", 0)
    say(listener.getsockname()[1])

    def load() -> App:
        return load_with(model, watchdog_s) if kind == "worker" else load_beside_a_thread(kind)

    return ending.leave(asyncio.run(server.serve_until_signal(listener, load)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])))
