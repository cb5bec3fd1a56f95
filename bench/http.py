"""What the server costs: the same requests over HTTP and straight at the engine.

    python -m bench.http [--quick] [--json FILE] [--model DIR] [--rounds N]
    python -m bench.http --soak [--users 200] [--minutes 5]

Two engines. The built-in model, in the app as ``start.sh`` starts it and in this process alone, shows the share of real
speed that is lost. The scripted engine, which makes tokens for nothing, shows what one token and one request cost in
time, and so what would be lost on a faster machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from bench.contenders import STORY, on_own_thread
from bench.http_clients import Took
from bench.loopback import on_loopback
from bench.report import Report, benchmark_parser
from bench.servers import app_server
from bench.soak import report_soak
from qwen_app.api.install import install_api
from qwen_app.engine.local.build import build_local_engine
from qwen_app.http.middleware import install_request_middleware
from qwen_app.messages import Delta, Finished, GenerationRequest, Message, SamplingParams
from qwen_app.models.loading.loader import load
from qwen_app.service import Service
from qwen_app.settings import Settings
from qwen_app.testing.scripted_engine import Script, ScriptedEngine

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
    logging.disable(logging.ERROR if options.soak else logging.WARNING)
    if options.soak:
        report = Report("Many users for minutes, with a scripted engine")
        code = report_soak(report, options.users, options.minutes * 60)
        report.finish(options.json)
        sys.exit(code)
    report = Report("HTTP and SSE beside the engine alone")
    rounds = 2 if options.quick else options.rounds
    loaded = on_own_thread(lambda: load(options.model, precision="int4"))  # the app's own choice on a CPU
    engine = on_own_thread(lambda: build_local_engine(loaded, slots=8, context_tokens=2048))
    with app_server(options.model.parent) as port:
        compare(report, "built-in model", Service(engine), port, tokens=16 if options.quick else 24, rounds=rounds)
    scripted = Service(ScriptedEngine(Script(("word ",) * SCRIPTED_TOKENS), slots=32))
    with serving(scripted) as port:
        compare(report, "scripted engine", scripted, port, tokens=SCRIPTED_TOKENS, rounds=rounds)
    token_cost(report, rounds=3)
    request_rate(report, requests=200 if options.quick else 1000)
    asyncio.run(engine.drain(0))
    report.finish(options.json)


def _options() -> argparse.Namespace:
    parser = benchmark_parser(
        "What HTTP and server-sent events cost.", quick="about a minute: shorter answers, fewer rounds"
    )
    parser.add_argument("--model", type=Path, default=Path("models/builtin"))
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--soak", action="store_true", help="instead: many users for minutes (bench/soak.py)")
    parser.add_argument("--users", type=int, default=200, help="of the soak")
    parser.add_argument("--minutes", type=float, default=5.0, help="of the soak")
    return parser.parse_args()


def compare(report: Report, name: str, service: Service, port: int, *, tokens: int, rounds: int) -> None:
    """Speed and first token at 1, 8 and 32 clients; within a round the two take turns, so that noise falls on both."""
    asyncio.run(straight(service, prompts(8), 4))  # the first answers of a process are slow, and fill the slots
    over_http(port, prompts(8), 4)
    for clients in (1, 8, 32):
        alone, through = [], []
        for number in range(rounds):
            for http in (False, True) if number % 2 else (True, False):
                if http:
                    through.append(over_http(port, prompts(clients), tokens))
                else:
                    alone.append(asyncio.run(straight(service, prompts(clients), tokens)))
        what = f"{name}, {clients} clients"
        report_speed(report, what, "engine alone", alone)
        report_speed(report, what, "through HTTP", through)
        speeds = ([run.tokens_per_s for run in runs] for runs in (through, alone))
        report.ratio_of(f"{name.partition(' ')[0]}_http_vs_engine_{clients}_clients", *speeds)


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
    sampling = SamplingParams(temperature=0, max_tokens=tokens, min_tokens=tokens, ignore_eos=True)
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
    install_api(app, service, Settings())
    install_request_middleware(app)
    with on_loopback(uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))) as port:
        yield port


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
