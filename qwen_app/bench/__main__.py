"""How fast the model is on this machine: ``python -m qwen_app.bench [options] [--url URL | the app's own options]``.

It measures through a running server (``--url``; its key is the first of ``QWEN_API_KEYS``), or loads the model that the
app's options and variables name. Prints tables to paste; what goes on is told on the other stream. Exit codes: 0
measured, 1 it broke off, 2 nothing could be measured.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import asdict
from pathlib import Path

import httpx2

from qwen_app.engine.remote import RemoteEngine
from qwen_app.errors import PYTHON, StartupError
from qwen_app.performance.machine import Machine, held_bytes, machine_of
from qwen_app.performance.measuring import Measurement
from qwen_app.performance.report import PerformanceReport
from qwen_app.performance.values import CONTEXTS, USERS, BenchRun, sizes_that_fit
from qwen_app.serve.build import build_service
from qwen_app.service import Service
from qwen_app.settings import Settings, load_settings

MEASURED, BROKE_OFF, NOTHING_MEASURED = 0, 1, 2
BUSY = "Somebody is being answered there. Try later, or measure all the same with --even-while-others-chat.\n"
USER = "bench"
READY_S = 10.0


def main(arguments: Sequence[str] | None = None) -> int:
    options, rest = _parser().parse_known_args(arguments)
    try:
        settings = load_settings(rest)
        service = _running(options.url, settings) if options.url else build_service(settings)
    except StartupError as refused:
        sys.stderr.write(f"{refused}\n")
        return NOTHING_MEASURED
    if options.url and not options.even_while_others_chat and _others(options.url):
        sys.stderr.write(BUSY)
        return NOTHING_MEASURED
    logging.disable(logging.INFO)
    report = asyncio.run(_measure(service, settings, options))
    for folder, name, text in _files(report, options):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    sys.stdout.write(report.markdown(options.language))
    if not report.run.figures:
        sys.stderr.write(f"Nothing was measured. {report.run.problem}\n")
        return NOTHING_MEASURED
    return MEASURED if report.run.end == "done" else BROKE_OFF


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(f"{PYTHON} -m qwen_app.bench", description=__doc__, allow_abbrev=False)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "--url", type=_server, default="", help="address of a running server, such as http://127.0.0.1:7860"
    )
    parser.add_argument(
        "--contexts", type=_numbers, default=CONTEXTS, help="lengths in tokens (default: 1024 to 32768)"
    )
    parser.add_argument("--at-once", type=_numbers, default=USERS, help="users at once (default: 1,2,4,8)")
    parser.add_argument("--language", choices=("en", "zh"), default="en", help="of the tables")
    parser.add_argument("--even-while-others-chat", action="store_true", help="do not make way for others")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    parser.add_argument("--charts", type=Path, help="write charts (SVG) into this folder too")
    return parser


def _server(url: str) -> str:
    """The server's own address, also of that of its API."""
    return url.rstrip("/").removesuffix("/v1")


def _numbers(text: str) -> tuple[int, ...]:
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if not numbers or min(numbers) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of whole numbers such as 1024,4096")
    return numbers


def _running(url: str, settings: Settings) -> Service:
    """Another server behind a service of our own. Raises StartupError where it does not answer."""
    key = settings.api_keys.split(",")[0].strip()
    return Service(RemoteEngine(base_url=f"{url}/v1", api_key=key).connect())


def _others(url: str) -> bool:
    """Whether somebody is being answered by the server at ``url``, as far as it says."""
    try:
        state = httpx2.get(f"{url}/ready", timeout=READY_S).json()
        return bool(state["running"] or state["queued"])
    except (httpx2.HTTPError, ValueError, KeyError, TypeError):
        return False


async def _measure(service: Service, settings: Settings, options: argparse.Namespace) -> PerformanceReport:
    info = service.info()
    sizes = sizes_that_fit(options.contexts, options.at_once, info.context_tokens, info.slots)
    machine = None if options.url else await asyncio.to_thread(machine_of, info, settings)
    measurement = Measurement(
        service,
        user=USER,
        alone=not options.even_while_others_chat,
        held_bytes=held_bytes if machine else lambda: 0,
    )
    run, told = BenchRun(sizes), 0
    async with aclosing(measurement.run(sizes)) as runs:
        async for run in runs:
            if len(run.figures) > told:
                told = len(run.figures)
                _tell(run, told)
    await service.drain(0)
    return PerformanceReport(info, run, machine)


def _tell(run: BenchRun, number: int) -> None:
    last = run.figures[-1]
    sys.stderr.write(
        f"{number} of {len(run.sizes)}: {last.size.context_tokens:,} tokens, {last.size.users} at once: "
        f"first token {last.first_token_s:.2f} s, {last.total_tokens_per_s:.1f} tokens/s\n"
    )


def _files(report: PerformanceReport, options: argparse.Namespace) -> list[tuple[Path, str, str]]:
    """What is written beside the tables: a folder, a name and the text each."""
    files = []
    if options.json is not None:
        files.append((options.json.parent, options.json.name, json.dumps(_values(report), indent=1) + "\n"))
    if options.charts is not None:
        charts = zip(("speed.svg", "first-token.svg"), report.charts(options.language), strict=False)
        files += [(options.charts, name, chart) for name, chart in charts]
    return files


def _values(report: PerformanceReport) -> dict[str, object]:
    machine: Machine | None = report.machine
    return {
        "model": report.info.model,
        "precision": report.info.precision,
        "device": report.info.device,
        "end": report.run.end,
        "figures": [asdict(figure) for figure in report.run.figures],
        "machine": None if machine is None else asdict(machine),
    }


if __name__ == "__main__":
    sys.exit(main())
