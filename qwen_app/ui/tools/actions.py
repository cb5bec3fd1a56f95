"""What the tools tab does: check definitions, keep an uploaded table, run the loop."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from qwen_app.agent_loop import ToolRun, run_tools
from qwen_app.errors import RequestError, SchemaError
from qwen_app.messages import GenerationRequest, Message, Tool, ToolChoice
from qwen_app.service import Service
from qwen_app.structured.grammars.byte_grammar import byte_compiler
from qwen_app.tools.builtin import BuiltinTool, builtin_tools, run_call
from qwen_app.tools.csv_table import CsvTable, read_csv
from qwen_app.tools.prompt_format import tool_definition
from qwen_app.ui.shared.failure import failure_html
from qwen_app.ui.shared.newest import newest
from qwen_app.ui.shared.render import safe_markdown
from qwen_app.ui.shared.strings import Language, Texts
from qwen_app.ui.tools.definitions import parse_tools
from qwen_app.ui.tools.view import state_html, steps_html

KEEP: Any = gr.skip()
NAMED = "tool:"  # before a tool's name in the choices
View = tuple[Any, ...]  # updates for steps, answer, state, run, stop
Views = AsyncGenerator[View, None]


@dataclass(frozen=True, slots=True)
class ToolTask:
    """What the visitor asks for. ``choice`` is auto, required, none, or ``NAMED`` with a tool's name."""

    prompt: str
    definitions: str
    choice: str
    temperature: float
    max_tokens: int

    def messages(self) -> tuple[Message, ...]:
        return (Message("user", self.prompt),)

    def tool_choice(self) -> ToolChoice:
        if self.choice.startswith(NAMED):
            return ToolChoice("named", self.choice.removeprefix(NAMED))
        modes: dict[str, ToolChoice] = {"required": ToolChoice("required"), "none": ToolChoice("none")}
        return modes.get(self.choice, ToolChoice("auto"))


@dataclass(slots=True)
class ToolSession:
    """One browser tab's tools. ``running`` stops what runs; the last run is kept for a new look."""

    running: asyncio.Event | None = None
    table: CsvTable | None = None
    table_name: str = ""
    run: ToolRun | None = None
    runnable: tuple[str, ...] = ()
    elapsed_s: float = 0.0

    def stop(self) -> None:
        if self.running is not None:
            self.running.set()

    def builtin(self) -> dict[str, BuiltinTool]:
        return {one.tool.name: one for one in builtin_tools(self.table)}

    def load(self, path: Path) -> None:
        """Keep the table of an uploaded file. Raises ValueError with a sentence for people."""
        try:
            self.table = read_csv(path.read_bytes())
        finally:
            path.unlink(missing_ok=True)
        self.table_name = path.name

    def picture(self, texts: Texts) -> tuple[str, str]:
        """Steps and state of the last run, once it is over."""
        if self.run is None or self.running is not None:
            return (steps_html(ToolRun(), (), over=False, texts=texts), "") if self.run is None else (KEEP, KEEP)
        steps = steps_html(self.run, self.runnable, over=True, texts=texts)
        return steps, state_html(self.run, self.elapsed_s, over=True, texts=texts)


class ToolActions:
    """Handlers of the tools tab, without its components."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._compiler = byte_compiler()

    async def tools(self, definitions: str) -> tuple[Tool, ...]:
        """The tools in the editor. Raises SchemaError for what could not be offered."""
        tools = parse_tools(definitions)
        if tools:
            await asyncio.to_thread(self._compiler.compile_tools, tools, ToolChoice("required"))
        return tools

    async def run(self, session: ToolSession, task: ToolTask, user: str, language: Language) -> Views:
        """The loop between the right buttons; what goes wrong is a sentence. Nothing while another one runs."""
        if session.running is not None:
            yield (KEEP,) * 5
            return
        stop, texts = asyncio.Event(), Texts(language)
        session.running, session.run = stop, None
        try:
            yield ("", "", state_html(ToolRun(), 0.0, over=False, texts=texts), *buttons(running=True))
            async with aclosing(self._loop(session, stop, task, user, texts)) as views:
                async for view in views:
                    yield (*view, KEEP, KEEP)
            session.running = None
            yield (*_changed(session.picture(texts)), *buttons(running=False))
        except Exception as error:
            yield KEEP, KEEP, failure_html(error, texts), *buttons(running=False)
        finally:
            if session.running is stop:
                session.running = None

    async def _loop(self, session: ToolSession, stop: asyncio.Event, task: ToolTask, user: str, texts: Texts) -> Views:
        request = await self._request(task, user, texts)
        builtin, started, shown = session.builtin(), time.monotonic(), ""
        session.runnable = tuple(builtin)
        implementations = {name: partial(run_call, tools=builtin) for name in builtin}
        async with (
            aclosing(run_tools(self._service, request, implementations)) as runs,
            aclosing(newest(runs, stop)) as snapshots,
        ):
            async for run in snapshots:
                session.run, session.elapsed_s = run, time.monotonic() - started
                steps = steps_html(run, session.runnable, over=False, texts=texts) if run.steps else ""
                state = state_html(run, session.elapsed_s, over=False, texts=texts)
                # steps are drawn anew only when they change, so that what was folded stays folded
                yield (KEEP if steps == shown else steps), _answer(run), state
                shown = steps

    async def _request(self, task: ToolTask, user: str, texts: Texts) -> GenerationRequest:
        tools = await checked(self, task, texts)
        return GenerationRequest(
            request_id=self._service.new_request_id(),
            messages=task.messages(),
            sampling=self._service.sampling(temperature=task.temperature, max_tokens=task.max_tokens),
            user=user,
            tools=tools,
            tool_choice=task.tool_choice() if tools else ToolChoice(),
        )


async def checked(actions: ToolActions, task: ToolTask, texts: Texts) -> tuple[Tool, ...]:
    """The task's tools. Raises RequestError for what cannot be asked."""
    if not task.prompt.strip():
        raise RequestError(texts("prompt_missing"))
    return await actions.tools(task.definitions)


def _answer(run: ToolRun) -> str:
    """Text before a call is shown with its step."""
    called = any(step.round == run.round for step in run.steps)
    return "" if called else safe_markdown(run.text)


def _changed(picture: tuple[str, str]) -> View:
    steps, state = picture
    return steps, KEEP, state


def with_tools(definitions: str, wanted: Mapping[str, BuiltinTool], known: Mapping[str, BuiltinTool]) -> str:
    """The definitions with exactly the ``wanted`` of the ``known`` tools, in place; the visitor's own stay.

    What cannot be read is left as it is, for nothing may be lost.
    """
    try:
        parse_tools(definitions)
    except SchemaError:
        return definitions
    given = json.loads(definitions) if definitions.strip() else []
    kept = [one for one in given if one["function"]["name"] not in known or one["function"]["name"] in wanted]
    names = {one["function"]["name"] for one in kept}
    added = [tool_definition(one.tool) for name, one in wanted.items() if name not in names]
    return definitions_text([*kept, *added])


def definitions_text(definitions: list[Any]) -> str:
    return json.dumps(definitions, ensure_ascii=False, indent=2)


def buttons(*, running: bool) -> View:
    """Updates for run and stop."""
    return gr.update(interactive=not running), gr.update(interactive=running)
