"""Answers through the API on a loopback port, as a developer asks for them."""

from __future__ import annotations

import asyncio

from bench.contenders import on_own_thread
from bench.gpu.rows import Rows
from bench.http import over_http as ask_over_http
from bench.http import prompts, serving, straight
from qwen_app.engine.local.build import build_local_engine
from qwen_app.models.loading.loaded_model import LoadedModel
from qwen_app.service import Service

TOKENS, TOKENS_TINY = 48, 12
CLIENTS = (1, 8)


def over_http(rows: Rows, precision: str, loaded: LoadedModel, context_tokens: int, *, tiny: bool) -> None:
    tokens = TOKENS_TINY if tiny else TOKENS
    engine = on_own_thread(lambda: build_local_engine(loaded, slots=max(CLIENTS), context_tokens=context_tokens))
    service = Service(engine)
    with serving(service) as port:
        asyncio.run(straight(service, prompts(max(CLIENTS)), tokens))  # the first answers of a process are slow
        for clients in CLIENTS:
            run = ask_over_http(port, prompts(clients), tokens)
            alone = asyncio.run(straight(service, prompts(clients), tokens))
            rows.add(f"{precision}: {clients} clients over HTTP", run.tokens_per_s, "tokens/s")
            rows.add(f"{precision}: {clients} clients, HTTP to engine", run.tokens_per_s / alone.tokens_per_s)
            rows.check(f"{precision}: {clients} clients were answered", len(run.answers) == clients and run.tokens > 0)
    asyncio.run(engine.drain(0))
