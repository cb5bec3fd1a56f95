"""Runs programs of real clients against a server, each in the client's own environment (``scripts/setup-clients``).

A program of ``tests/clients/programs`` says for each feature whether it worked; here its words become rows of a table.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = ROOT / "tests/clients/programs"
LISTS = ROOT / "tests/clients/requirements"
NODE_LIST = "package.json"
RUN_S = 300.0


@dataclass(frozen=True, slots=True)
class Client:
    """``versions`` are the packages it is made of, as pinned."""

    name: str
    versions: str
    is_node: bool = False

    @property
    def program(self) -> Path:
        return PROGRAMS / f"try_{self.name}.{'mjs' if self.is_node else 'py'}"

    def missing(self) -> str:
        """Why it cannot be run here; empty where it can."""
        home = _home("node" if self.is_node else self.name)
        if not (home / ".installed").is_file():
            return f"{self.name} is not installed: scripts/setup-clients"
        if self.is_node and shutil.which("node") is None:
            return "node was not found"
        return ""


@dataclass(frozen=True, slots=True)
class FeatureResult:
    """``problem`` is empty where the feature works."""

    feature: str
    problem: str


NODE_PACKAGES = {
    "openai-node": ("openai",),
    "ai-sdk": ("ai", "@ai-sdk/openai-compatible"),
    "langchain-node": ("@langchain/openai",),
    "codex": ("@openai/codex",),
    "claude-code": ("@anthropic-ai/claude-code",),
}


def clients() -> list[Client]:
    """Every client there is a program for, Python's first."""
    lists = {path.stem: path.read_text(encoding="utf-8").split() for path in sorted(LISTS.glob("*.txt"))}
    of_python = [Client(name, ", ".join(pins).replace("==", " ")) for name, pins in lists.items()]
    versions = json.loads((LISTS / NODE_LIST).read_text(encoding="utf-8"))["dependencies"]
    of_node = [
        Client(name, ", ".join(f"{package} {versions[package]}" for package in packages), is_node=True)
        for name, packages in NODE_PACKAGES.items()
    ]
    return of_python + of_node


def run_client(client: Client, url: str) -> list[FeatureResult]:
    """What works of ``client`` against the server at ``url``. Raises RuntimeError where its program breaks."""
    environ = dict(os.environ, SERVER_URL=url, NO_PROXY="127.0.0.1,localhost", no_proxy="127.0.0.1,localhost")
    environ |= {"OPENAI_API_KEY": "none", "DO_NOT_TRACK": "1", "HAYSTACK_TELEMETRY_ENABLED": "False"}
    environ |= {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(_command(client), env=environ, capture_output=True, text=True, timeout=RUN_S, check=False)
    results = [
        FeatureResult(said["feature"], said["problem"])
        for line in done.stdout.splitlines()
        if line.startswith('{"feature"') and (said := json.loads(line))
    ]
    if done.returncode or not results:
        raise RuntimeError(f"the program of {client.name} broke: {done.stderr[-2000:]}")
    return results


def _command(client: Client) -> Sequence[str]:
    if not client.is_node:
        return [str(_home(client.name) / "bin/python"), str(client.program)]
    home = _home("node")  # its packages are found from where a program lies
    for path in PROGRAMS.glob("*.mjs"):
        shutil.copy(path, home / path.name)
    return ["node", str(home / client.program.name)]


def _home(name: str) -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "qwen-app/clients" / name


def table(rows: Iterable[tuple[Client, Sequence[FeatureResult]]]) -> str:
    """The rows as markdown: what works, and what does not, with its reason."""
    lines = ["| Client | Version | Works | Does not |", "|---|---|---|---|"]
    for client, results in rows:
        works = ", ".join(result.feature.replace("_", " ") for result in results if not result.problem)
        fails = "; ".join(f"{one.feature.replace('_', ' ')}: {_cell(one.problem)}" for one in results if one.problem)
        lines.append(f"| {client.name} | {client.versions} | {works} | {fails} |")
    return "\n".join(lines)


def _cell(text: str) -> str:
    return " ".join(text.split())[:120].replace("|", "/")
