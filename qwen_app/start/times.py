"""How long each stage of the last start took, in a file beside the saved chats."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from qwen_app.start.progress import STAGES, Stage

log = logging.getLogger(__name__)

TIMES_FILE = "start-times.json"
_LONGEST_S = 24 * 3600.0  # what a file says beyond this is no time of ours


def read_times(data_dir: Path, model: str) -> dict[Stage, float]:
    """How long the last start with ``model`` took, stage by stage; empty where nothing says so."""
    try:
        kept = json.loads((data_dir / TIMES_FILE).read_text(encoding="utf-8"))[model]
        times = {stage: float(kept[stage]) for stage in STAGES if stage in kept}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}
    return {stage: seconds for stage, seconds in times.items() if 0 <= seconds <= _LONGEST_S}


def keep_times(data_dir: Path, model: str, took_s: dict[Stage, float]) -> None:
    """Note it for the next start, which has nothing to fetch.

    A folder that cannot be written costs the next loading page its seconds, no more.
    """
    path = data_dir / TIMES_FILE
    rounded = {stage: round(seconds, 1) for stage, seconds in took_s.items() if stage != "download"}
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({model: rounded}), encoding="utf-8")
    except OSError as failed:
        log.info("%s is not written: %s", path, failed.strerror)
