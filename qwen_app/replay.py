"""Asks recorded requests that failed once more of a running server: ``python -m qwen_app.replay [--url ...] [ID ...]``.

The server is the one that the settings name (``--port``, ``QWEN_PORT``), or ``--url``. Its key is the first of
``QWEN_API_KEYS``. Exit codes: 0 all were answered, 1 some failed again, 2 nothing could be asked.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path

from qwen_app.engine.remote import RemoteEngine
from qwen_app.errors import PYTHON, SettingsError
from qwen_app.failed_requests import RECORD_FILE, FailedRequest, read_record
from qwen_app.messages import Failed, Finished, GenerationRequest
from qwen_app.service import Service
from qwen_app.settings import load_settings

ANSWERED, FAILED_AGAIN, NOTHING_ASKED = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        url, key = _address(options.url)
        engine = RemoteEngine(base_url=f"{url}/v1", api_key=key)
        chosen = [one for one in read_record(options.file) if not options.ids or one.request_id in options.ids]
    except FileNotFoundError:
        sys.stderr.write(f"Nothing has failed yet: there is no {options.file}.\n")
        return ANSWERED if options.list else NOTHING_ASKED
    except (SettingsError, OSError) as refused:
        sys.stderr.write(f"{refused}\n")
        return NOTHING_ASKED
    if not chosen:
        sys.stderr.write(f"{options.file} holds no such request.\n")
        return NOTHING_ASKED
    if options.list:
        sys.stdout.writelines(f"{_told(record)}\n" for record in chosen)
        return ANSWERED
    failed = asyncio.run(_ask(Service(engine.connect()), chosen))
    return FAILED_AGAIN if failed else ANSWERED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(f"{PYTHON} -m qwen_app.replay", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("ids", nargs="*", metavar="ID", help="request ids to ask again; without, all that are recorded")
    parser.add_argument("--list", action="store_true", help="say what is recorded and ask nothing")
    parser.add_argument("--file", type=Path, default=RECORD_FILE, help=f"the record (default: {RECORD_FILE})")
    parser.add_argument("--url", default="", help="address of the server, such as http://127.0.0.1:7860")
    return parser


def _address(url: str) -> tuple[str, str]:
    """Where the server is, and a key for it. Raises SettingsError."""
    settings = load_settings(())
    keys = [part.strip() for part in settings.api_keys.split(",")]
    return url.rstrip("/") or f"http://127.0.0.1:{settings.port}", keys[0]


async def _ask(service: Service, records: Sequence[FailedRequest]) -> int:
    """Ask all, one after another; how many failed."""
    failed = 0
    for record in records:
        outcome = await _outcome(service, record.request) if record.request else "cannot be asked: it was not kept"
        failed += not outcome.startswith("answered")
        sys.stdout.write(f"{_told(record)}: {outcome}\n")
    await service.drain(0)
    return failed


async def _outcome(service: Service, request: GenerationRequest) -> str:
    async with aclosing(service.generate(request)) as events:
        async for event in events:
            if isinstance(event, Failed):
                return f"failed again, {event.error.code}: {event.error.message}"
            if isinstance(event, Finished):
                return f"answered, {event.usage.completion_tokens} tokens, {event.reason}"
    return "broke off"


def _told(record: FailedRequest) -> str:
    """A record in one line, without its text."""
    when = datetime.fromtimestamp(record.at, UTC).strftime("%Y-%m-%d %H:%M:%S")
    return f"{when} {record.request_id} {record.code} after {record.after_s:.1f} s ({record.keeps} kept)"


if __name__ == "__main__":
    sys.exit(main())
