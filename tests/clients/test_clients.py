"""The real clients, as people install them, on a scripted clever model: nothing fails but what docs/clients.md says."""

from __future__ import annotations

from html import escape

import pytest

from qwen_app.api.client_setups import CLIENT_SETUPS, lines_of
from scripts.client_runs import ROOT, Client, clients, run_client
from tests.api.serving import Api

PAGE = (ROOT / "docs/clients.md").read_text(encoding="utf-8")


def head_of(client: Client) -> str:
    """How the row of ``client`` begins; what works follows, then what does not."""
    return f"| {client.name} | {client.versions} | "


@pytest.mark.slow
@pytest.mark.parametrize("client", clients(), ids=lambda client: client.name)
def test_client(clever_api: Api, client: Client) -> None:
    if client.missing():
        pytest.skip(client.missing())
    known = PAGE.split(head_of(client))[1].split("\n")[0].split("|")[1]
    problems = {one.feature: one.problem for one in run_client(client, clever_api.url) if one.problem}
    assert {name: why for name, why in problems.items() if f"{name.replace('_', ' ')}: " not in known} == {}


def test_every_client_has_a_program_and_its_row() -> None:
    for client in clients():
        assert client.program.is_file()
        assert head_of(client) in PAGE


def test_every_client_has_its_lines_on_the_docs_page(clever_api: Api) -> None:
    page = clever_api.request("GET", "/v1/docs").text
    assert len(CLIENT_SETUPS) == len(clients())
    for setup in CLIENT_SETUPS:
        lines = lines_of(setup, clever_api.url, "none")
        assert clever_api.url in lines
        assert escape(lines) in page
