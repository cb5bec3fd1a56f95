"""What HTTP and server-sent events cost: the same requests through the API and straight at the engine.

    python -m bench.http [--quick] [--json FILE] [--model DIR] [--rounds N]

Two engines. The built-in model shows the share of real speed that is lost. The scripted engine, which makes tokens for
nothing, shows what one token and one request cost in time, and so what would be lost on a faster machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from bench.contenders import on_own_thread
from bench.http_clients import Took
from bench.report import Report
from qwen_app.api.routes import build_router, install_error_handlers
from qwen_app.engine.base import Engine
from qwen_app.engine.local.build import build_local_engine
from qwen_app.engine.local.engine import LocalEngine
from qwen_app.messages import Delta, Finished, GenerationRequest, Message, SamplingParams
from qwen_app.models.loader import load
from qwen_app.service import Service
from qwen_app.settings import Settings
from qwen_app.testing.scripted_engine import Script, ScriptedEngine

STORY = "Tell me a very long story, with many people and places, about the number {}."
SCRIPTED_TOKENS = 500
GPU_TOKENS_PER_S = 500  # eight users of a 7B on a fast card, for scale


@dataclass(frozen=True, slots=True)
class Run:
    """All answers of one round, how long it took, and the processor time this process spent on it, in seconds."""

    wall_s: float
    cpu_s: float
    answers: tuple[Took, ...]

    @property
    def tokens(self) -> int:
        return sum(answer.tokens for answer in self.answers)

    @property
    def tokens_per_s(self) -> float:
        return self.tokens / self.wall_s

    @property
    def first_token_s(self) -> float:
        return statistics.median(answer.first_token_s for answer in self.answers)


def main() -> None:
    options = _options()
    logging.disable(logging.WARNING)
    report = Report("HTTP and SSE beside the engine alone")
    rounds = 2 if options.quick else options.rounds
    loaded = on_own_thread(lambda: load(options.model, precision="fp32"))
    engine = on_own_thread(lambda: build_local_engine(loaded, slots=8, context_tokens=1024))
    compare(report, "built-in model", engine, tokens=16 if options.quick else 24, rounds=rounds)
    scripted = ScriptedEngine(Script(("word ",) * SCRIPTED_TOKENS), slots=32)
    compare(report, "scripted engine", scripted, tokens=SCRIPTED_TOKENS, rounds=rounds)
    token_cost(report, rounds=3)
    request_rate(report, requests=200 if options.quick else 1000)
    asyncio.run(engine.drain(0))
    report.finish(options.json)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="What HTTP and server-sent events cost.")
    parser.add_argument("--quick", action="store_true", help="about a minute: shorter answers, fewer rounds")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    parser.add_argument("--model", type=Path, default=Path("models/builtin"))
    parser.add_argument("--rounds", type=int, default=8)
    return parser.parse_args()


def compare(report: Report, name: str, engine: Engine, *, tokens: int, rounds: int) -> None:
    """Speed and first token at 1, 8 and 32 clients; within a round the two take turns, so that noise falls on both."""
    service = Service(engine)
    with serving(service) as port:
        asyncio.run(straight(service, prompts(8), 4))  # the first answers of a process are slow, and fill the slots
        for clients in (1, 8, 32):
            alone, through = [], []
            for number in range(rounds):
                order = (False, True) if number % 2 else (True, False)
                for http in order:
                    if http:
                        through.append(over_http(port, prompts(clients), tokens))
                    else:
                        alone.append(asyncio.run(straight(service, prompts(clients), tokens)))
            what = f"{name}, {clients} clients"
            report_speed(report, what, "engine alone", alone)
            report_speed(report, what, "through HTTP", through)
            if isinstance(engine, LocalEngine):
                shares = [one.tokens_per_s / other.tokens_per_s for one, other in zip(through, alone, strict=True)]
                report.ratio(f"http_vs_engine_{clients}_clients", statistics.median(shares), 1.0)


def report_speed(report: Report, what: str, how: str, runs: Sequence[Run]) -> None:
    first_s = statistics.median(run.first_token_s for run in runs)
    report.add(f"{what}: first token", how, first_s * 1000, "ms")
    report.add(f"{what}: speed", how, statistics.median(run.tokens_per_s for run in runs), "tokens/s")


def prompts(count: int) -> list[str]:
    return [STORY.format(number) for number in range(count)]


async def straight(service: Service, texts: Sequence[str], tokens: int) -> Run:
    """Ask the service as the API does, in this process."""
    started, cpu_started = time.perf_counter(), time.process_time()
    answers = await asyncio.gather(*(_ask(service, text, tokens) for text in texts))
    return Run(time.perf_counter() - started, time.process_time() - cpu_started, tuple(answers))


async def _ask(service: Service, text: str, tokens: int) -> Took:
    sampling = SamplingParams(temperature=0, max_tokens=tokens)
    request = GenerationRequest(service.new_request_id(), (Message("user", text),), sampling=sampling)
    started, first_s, made = time.perf_counter(), 0.0, 0
    async with aclosing(service.generate(request)) as events:
        async for event in events:
            if isinstance(event, Delta) and not first_s:
                first_s = time.perf_counter() - started
            elif isinstance(event, Finished):
                made = event.usage.completion_tokens
    return Took(made, first_s, time.perf_counter() - started)


def over_http(port: int, texts: Sequence[str], tokens: int, *, repeat: int = 1) -> Run:
    order = json.dumps({"port": port, "prompts": list(texts), "tokens": tokens, "repeat": repeat})
    command = [sys.executable, "-m", "bench.http_clients"]
    cpu_started = time.process_time()
    done = subprocess.run(command, input=order, capture_output=True, text=True, check=True)
    report = json.loads(done.stdout)
    cpu_s = time.process_time() - cpu_started
    return Run(report["wall_s"], cpu_s, tuple(Took(**answer) for answer in report["answers"]))


@contextmanager
def serving(service: Service) -> Iterator[int]:
    """The API on a free port of this machine, in a thread, as it runs beside the page."""
    app = FastAPI(openapi_url=None)
    app.include_router(build_router(service, Settings()))
    install_error_handlers(app)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])))
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


def token_cost(report: Report, *, rounds: int) -> None:
    """Processor time that one token costs between engine and socket, and the share of a core that comes to.

    Processor time, unlike speed, does not depend on what else the machine does.
    """
    service = Service(ScriptedEngine(Script(("word ",) * SCRIPTED_TOKENS), slots=32))
    costs_s = []
    with serving(service) as port:
        over_http(port, prompts(8), SCRIPTED_TOKENS)
        for _ in range(rounds):
            through = over_http(port, prompts(8), SCRIPTED_TOKENS)
            alone = asyncio.run(straight(service, prompts(8), SCRIPTED_TOKENS))
            costs_s.append((through.cpu_s - alone.cpu_s) / through.tokens)
    cost_s = statistics.median(costs_s)
    report.add("one token", "HTTP and SSE", cost_s * 1e6, "us of a core")
    speed = next(row.value for row in report.rows if row.what == "built-in model, 8 clients: speed")
    report.ratio("http_share_of_a_core_8_clients", cost_s * speed, 1.0)
    report.ratio(f"http_share_of_a_core_at_{GPU_TOKENS_PER_S}_tokens_per_s", cost_s * GPU_TOKENS_PER_S, 1.0)


def request_rate(report: Report, *, requests: int) -> None:
    """Whole requests a second, when an answer is one token."""
    with serving(Service(ScriptedEngine(Script(("word",)), slots=64, queue_limit=requests))) as port:
        for clients in (1, 8, 32):
            run = over_http(port, prompts(clients), 1, repeat=requests // clients)
            speed = len(run.answers) / run.wall_s
            report.add(f"one-token answers, {clients} clients", "through HTTP", speed, "requests/s")


if __name__ == "__main__":
    main()
