"""Tries every client that ``scripts/setup-clients`` installed and writes what works into ``docs/clients.md``.

With the address of a running server, or a word for one that is started here, the table is of that one and is printed
alone: ``builtin`` is the built-in model, ``remote`` a server whose engine is another one.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import ExitStack

from qwen_app.engine.local.build import build_local_engine
from qwen_app.engine.remote import RemoteEngine
from qwen_app.models.builtin import prepare_builtin
from qwen_app.models.loading.loader import load
from qwen_app.testing.scripted_engine import ScriptedEngine
from scripts.client_runs import ROOT, Client, FeatureResult, clients, run_client, table
from tests.api.clever import clever
from tests.api.serving import running_api

PAGE = ROOT / "docs/clients.md"
SCRIPTED, BUILTIN, REMOTE = "scripted", "builtin", "remote"
BEGIN, END = "<!-- made by scripts/client-matrix -->\n", "\n<!-- its end -->"


def main() -> None:
    """The command. Ends with 1 where a client is not installed, or something of one does not work."""
    given = sys.argv[1:2]
    with ExitStack() as stack:
        url = _url_of(given[0] if given else SCRIPTED, stack)
        rows = [(client, _tried(client, url)) for client in clients()]
    print(table(rows))  # noqa: T201 (a command's output)
    if not given:
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        after = rest.partition(END)[2]
        PAGE.write_text(f"{before}{BEGIN}{table(rows)}{END}{after}", encoding="utf-8")
    sys.exit(any(result.problem for _, results in rows for result in results))


def _url_of(given: str, stack: ExitStack) -> str:
    """The address of what ``given`` names, started here where it is no address."""
    if given == SCRIPTED:
        return stack.enter_context(running_api(ScriptedEngine(clever))).url
    if given == BUILTIN:
        model = load(prepare_builtin(ROOT / "models"), precision="fp32", name=BUILTIN)
        engine = build_local_engine(model, slots=4, context_tokens=8192)
        stack.callback(lambda: asyncio.run(engine.drain(0)))
        return stack.enter_context(running_api(engine)).url
    if given == REMOTE:
        upstream = stack.enter_context(running_api(ScriptedEngine(clever))).url
        return stack.enter_context(running_api(RemoteEngine(base_url=f"{upstream}/v1").connect())).url
    return given.rstrip("/")


def _tried(client: Client, url: str) -> list[FeatureResult]:
    if client.missing():
        return [FeatureResult("all", client.missing())]
    try:
        return run_client(client, url)
    except RuntimeError as broken:
        return [FeatureResult("all", str(broken))]
