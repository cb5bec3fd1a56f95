"""What every benchmark shares: the machine it ran on, a table for people, JSON for programs."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import torch
import transformers


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of one contender. ``unit`` says what ``value`` counts; more is better unless it is a time."""

    what: str
    contender: str
    value: float
    unit: str


@dataclass(slots=True)
class Report:
    """Rows and the ratios between them: machines are noisy, ratios of one run are not."""

    name: str
    rows: list[Row] = field(default_factory=list)
    ratios: dict[str, float | None] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, what: str, contender: str, value: float, unit: str) -> float:
        self.rows.append(Row(what, contender, value, unit))
        sys.stderr.write(f"  {what:<34} {contender:<22} {value:>10.3f} {unit}\n")
        return value

    def ratio(self, name: str, above: float, below: float) -> None:
        self.ratios[name] = round(above / below, 3) if below else 0.0

    def ratio_of(self, name: str, above: Sequence[float], below: Sequence[float]) -> None:
        """The median of the ratios of what was measured in the same rounds; None where one was not measured."""
        pairs = [one / other for one, other in zip(above, below, strict=False) if other]
        self.ratios[name] = round(statistics.median(pairs), 3) if pairs else None

    def markdown(self) -> str:
        lines = [f"# {self.name}", "", f"{machine_line()}", "", "| what | contender | value |", "|---|---|---|"]
        lines += [f"| {row.what} | {row.contender} | {row.value:.3f} {row.unit} |" for row in self.rows]
        lines += ["", "| ratio | |", "|---|---|"]
        shown = {name: "not measured" if value is None else f"{value:.3f}" for name, value in self.ratios.items()}
        lines += [f"| {name} | {value} |" for name, value in shown.items()]
        lines += ["", *self.notes]
        return "\n".join(lines) + "\n"

    def as_json(self) -> dict[str, object]:
        return {
            "name": self.name,
            "machine": machine(),
            "ratios": self.ratios,
            "rows": [
                {"what": row.what, "contender": row.contender, "value": round(row.value, 4), "unit": row.unit}
                for row in self.rows
            ],
            "notes": self.notes,
        }

    def finish(self, json_path: Path | None) -> None:
        """Print the table and write the JSON beside what was asked for."""
        sys.stdout.write(self.markdown())
        if json_path is not None:
            json_path.parent.mkdir(parents=True, exist_ok=True)
            json_path.write_text(json.dumps(self.as_json(), indent=1) + "\n")


def machine() -> dict[str, object]:
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": gpu,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }


def machine_line() -> str:
    return ", ".join(f"{key} {value}" for key, value in machine().items() if value is not None)


def percentile(values: Sequence[float], percent: int) -> float:
    """The ``percent``-th percentile; 0.0 of nothing."""
    if len(values) < 2:
        return values[0] if values else 0.0
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def benchmark_parser(description: str | None, *, quick: str) -> argparse.ArgumentParser:
    """A parser that knows ``--quick``, told about by ``quick``, and ``--json``."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=quick)
    parser.add_argument("--json", type=Path, help="write the figures here too")
    return parser
