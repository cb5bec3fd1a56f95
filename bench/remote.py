"""Runs a real OpenAI-compatible server through RemoteEngine and through this app's page and API; prints figures.

    python -m bench.remote --base-url http://127.0.0.1:8000/v1 [--app-url http://127.0.0.1:7860] [--json FILE]

Every check prints one line; the exit code is 1 if any that must hold does not. Nothing here depends on which server it
is, so it serves for vLLM as well as for the rest.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Coroutine, Mapping
from contextlib import aclosing
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

from openai import AsyncOpenAI

from bench.browser import browser_path
from qwen_app.engine.remote import RemoteEngine
from qwen_app.errors import ContextLengthExceeded
from qwen_app.messages import (
    Delta,
    Failed,
    Finished,
    GenerationRequest,
    GrammarSpec,
    JsonSchema,
    Message,
    SamplingParams,
    StringChoice,
    Tool,
    ToolCallDelta,
    ToolChoice,
)

QUESTION = "What is the capital of France?"
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 20}, "capital": {"type": "boolean"}},
    "required": ["city", "capital"],
    "additionalProperties": False,
}
WEATHER = Tool(
    "get_weather",
    "Current weather of a city.",
    {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 20}},
        "required": ["city"],
        "additionalProperties": False,
    },
)
USERS = (1, 2, 4, 8)
DECODE_TOKENS = 64
PATIENCE_S = 120


@dataclass(frozen=True)
class Row:
    check: str
    held: bool
    figures: Mapping[str, object] = field(default_factory=dict)


Check = partial[Coroutine[object, None, Row]]


@dataclass(frozen=True)
class Outcome:
    """An answer as it was told: its text, the arguments of its calls, and how it ended."""

    text: str
    arguments: str
    end: Finished | Failed

    @property
    def finished(self) -> Finished:
        if isinstance(self.end, Failed):
            raise self.end.error
        return self.end


def ask(
    text: str,
    *,
    max_tokens: int = 40,
    grammar: GrammarSpec | None = None,
    tools: tuple[Tool, ...] = (),
    tool_choice: ToolChoice | None = None,
) -> GenerationRequest:
    return GenerationRequest(
        request_id=f"bench-{time.monotonic_ns()}",
        messages=(Message("user", text),),
        sampling=SamplingParams(temperature=0.0, max_tokens=max_tokens),
        grammar=grammar,
        tools=tools,
        tool_choice=tool_choice or ToolChoice(),
    )


async def run(engine: RemoteEngine, request: GenerationRequest) -> Outcome:
    text, arguments = "", ""
    async with aclosing(engine.generate(request)) as events:
        async for event in events:
            if isinstance(event, Delta):
                text += event.text
            elif isinstance(event, ToolCallDelta):
                arguments += event.arguments
            elif isinstance(event, Finished | Failed):
                return Outcome(text, arguments, event)
    raise RuntimeError("the answer had no end")


async def check_chat(engine: RemoteEngine) -> Row:
    outcome = await run(engine, ask(QUESTION))
    usage, timings = outcome.finished.usage, outcome.finished.timings
    (counted,) = await engine.count_tokens([ask(QUESTION).messages])
    figures: dict[str, object] = {"text": outcome.text, "prompt_tokens": usage.prompt_tokens, "counted_before": counted}
    figures |= {"first_token_s": round(timings.first_token_s, 3), "total_s": round(timings.total_s, 3)}
    return Row("chat, stream, usage", "Paris" in outcome.text and usage.prompt_tokens == counted, figures)


async def check_schema(engine: RemoteEngine) -> Row:
    grammar = JsonSchema(SCHEMA)
    outcome = await run(engine, ask("Describe Paris as JSON.", max_tokens=120, grammar=grammar))
    return Row("JSON schema", json.loads(outcome.text).keys() == {"city", "capital"}, {"text": outcome.text})


async def check_choice(engine: RemoteEngine) -> Row:
    outcome = await run(engine, ask("Is Paris in France?", grammar=StringChoice(("yes", "no"))))
    return Row("choice", outcome.text in ("yes", "no"), {"text": outcome.text})


async def check_tool(engine: RemoteEngine) -> Row:
    choice = ToolChoice("named", WEATHER.name)
    outcome = await run(engine, ask("Weather in Paris?", max_tokens=120, tools=(WEATHER,), tool_choice=choice))
    arguments = json.loads(outcome.arguments)
    held = outcome.finished.reason == "tool_calls" and arguments.keys() == {"city"}
    return Row("tool call, named", held, {"arguments": arguments})


async def check_overflow(engine: RemoteEngine) -> Row:
    context_tokens = engine.info().context_tokens
    outcome = await run(engine, ask("word " * 2 * context_tokens))
    error = outcome.end.error if isinstance(outcome.end, Failed) else None
    held = isinstance(error, ContextLengthExceeded) and error.limit_tokens == context_tokens
    return Row("context_length_exceeded", held, {"error": str(error)})


async def check_cancel(engine: RemoteEngine) -> Row:
    """After a cancelled answer the server is free: the next first token comes about as soon as the one before."""
    before = await run(engine, ask(QUESTION, max_tokens=1))
    async with aclosing(engine.generate(ask("Count to one thousand.", max_tokens=1000))) as events:
        async for event in events:
            if isinstance(event, Delta):
                break
    after = await run(engine, ask(QUESTION, max_tokens=1))
    times = [round(outcome.finished.timings.first_token_s, 3) for outcome in (before, after)]
    held = engine.health().running == 0
    return Row("cancel", held, {"first_token_s_before": times[0], "first_token_s_after": times[1]})


async def check_speed(engine: RemoteEngine, users: int) -> Row:
    """Decoding speed of ``users`` at once, all together."""
    requests = [ask(f"Tell a long story number {n}.", max_tokens=DECODE_TOKENS) for n in range(users)]
    started = time.monotonic()
    outcomes = await asyncio.gather(*(run(engine, request) for request in requests))
    total_s = time.monotonic() - started
    tokens = sum(outcome.finished.usage.completion_tokens for outcome in outcomes)
    return Row(f"decode, {users} at once", True, {"tokens": tokens, "tokens_per_s": round(tokens / total_s, 1)})


async def check_api(app_url: str) -> Row:
    """The same question to this app's own API, which runs on the server, asked with the openai client."""
    text, usage = "", None
    async with AsyncOpenAI(base_url=f"{app_url}/v1", api_key="none", max_retries=0) as client:
        stream = await client.chat.completions.create(
            model="default",
            messages=[{"role": "user", "content": QUESTION}],
            temperature=0,
            max_tokens=40,
            stream=True,
            stream_options={"include_usage": True},
        )
        async for chunk in stream:
            text += (chunk.choices[0].delta.content or "") if chunk.choices else ""
            usage = chunk.usage or usage
    figures = {"text": text, "usage": usage.model_dump(exclude_none=True) if usage else None}
    return Row("this app's API on it", "Paris" in text and usage is not None, figures)


async def check_page(app_url: str) -> Row:
    """The same question typed into this app's page, in the system's Chromium."""
    from playwright.async_api import async_playwright, expect

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=browser_path(), args=["--no-sandbox"])
        page = await browser.new_page()
        await page.goto(app_url)
        temperature = page.locator("#temperature input[type=number]")
        await temperature.fill("0")
        await temperature.press("Enter")
        composer = page.locator("#composer textarea")
        await composer.fill(QUESTION)
        await composer.press("Enter")
        run_line = page.locator("#conversation .run-line").first
        await expect(run_line).to_be_visible(timeout=PATIENCE_S * 1000)
        text = await page.locator("#conversation .bot-row").first.inner_text()
        figures = {"text": " ".join(text.split()), "line": await run_line.inner_text()}
        await browser.close()
    return Row("this app's page on it", "Paris" in text, figures)


def checks_for(engine: RemoteEngine, app_url: str) -> list[Check]:
    """All checks, in order; those of page and API only where the app runs at ``app_url``."""
    of_engine = (check_chat, check_schema, check_choice, check_tool, check_overflow, check_cancel)
    checks: list[Check] = [partial(check, engine) for check in of_engine]
    checks += [partial(check_speed, engine, users) for users in USERS]
    checks += [partial(check, app_url) for check in (check_api, check_page) if app_url]
    return checks


async def outcome_of(check: Check) -> Row:
    try:
        return await check()
    except Exception as error:  # a check that breaks is a row that did not hold
        name = check.func.__name__.replace("_", " ")
        return Row(name, False, {"error": f"{type(error).__name__}: {error}"})


async def main(arguments: argparse.Namespace) -> int:
    engine = RemoteEngine(base_url=arguments.base_url, api_key=arguments.api_key, model=arguments.model)
    await engine.count_tokens([[Message("user", "Hi")]])
    info = engine.info()
    sys.stdout.write(f"{info.device}, version {info.revision}, {info.model}, {info.context_tokens} tokens\n")
    rows = []
    for check in checks_for(engine, arguments.app_url):
        rows.append(row := await outcome_of(check))
        figures = ", ".join(f"{name} {value!r}" for name, value in row.figures.items())
        sys.stdout.write(f"{'ok  ' if row.held else 'FAIL'} {row.check:24} {figures}\n")
        sys.stdout.flush()
    await engine.drain(0.0)
    if arguments.json:
        report = {"server": info.device, "version": info.revision, "rows": [asdict(row) for row in rows]}
        arguments.json.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0 if all(row.held for row in rows) else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base-url", required=True)
    parser.add_argument("--api-key", default="")
    parser.add_argument("--model", default="")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--app-url", default="", help="where this app runs with --engine remote on that server")
    sys.exit(asyncio.run(main(parser.parse_args())))
