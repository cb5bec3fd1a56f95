"""What the tools tab does: check definitions, keep an uploaded table, run the loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from qwen_app.agent_loop import ToolRun, run_tools
from qwen_app.errors import RequestError
from qwen_app.messages import GenerationRequest, Message, Tool, ToolChoice
from qwen_app.service import Service
from qwen_app.structured.grammars.byte_grammar import byte_compiler
from qwen_app.tools.builtin import BuiltinTool, builtin_tools, run_call
from qwen_app.tools.csv_table import CsvTable, read_csv
from qwen_app.ui.shared.answer_slot import AnswerSlot, RunningAnswer
from qwen_app.ui.shared.notices import failure_html
from qwen_app.ui.shared.openai_body import Body, openai_body
from qwen_app.ui.shared.render import safe_markdown
from qwen_app.ui.shared.strings import Language, Texts
from qwen_app.ui.shared.throttle import latest
from qwen_app.ui.tools.definitions import parse_tools, with_tools
from qwen_app.ui.tools.menus import tool_choice
from qwen_app.ui.tools.view import ToolsView, state_html, steps_html

LOOKUP = "lookup_table"
Views = AsyncGenerator[ToolsView, None]


@dataclass(frozen=True, slots=True)
class ToolTask:
    """What the visitor asks for. ``choice`` is one of ``menus.call_choices``."""

    prompt: str
    definitions: str
    choice: str
    temperature: float
    max_tokens: int

    def messages(self) -> tuple[Message, ...]:
        return (Message("user", self.prompt),)


@dataclass(slots=True)
class ToolSession:
    """One browser tab's tools. The last run is kept for a new look."""

    slot: AnswerSlot = field(default_factory=AnswerSlot)
    table: CsvTable | None = None
    table_name: str = ""
    run: ToolRun | None = None
    runnable: tuple[str, ...] = ()
    elapsed_s: float = 0.0

    def stop(self) -> None:
        self.slot.stop()

    def builtin(self) -> dict[str, BuiltinTool]:
        return {one.tool.name: one for one in builtin_tools(self.table)}

    def load(self, path: Path) -> None:
        """Keep the table of an uploaded file. Raises ValueError with a sentence for people."""
        try:
            self.table = read_csv(path.read_bytes())
        finally:
            path.unlink(missing_ok=True)
        self.table_name = path.name

    def picture(self, texts: Texts) -> ToolsView:
        """The last run, once it is over; while one goes on, it draws itself."""
        if self.run is None:
            return ToolsView(steps_html(ToolRun(), (), over=False, texts=texts), state="")
        if self.slot.busy:
            return ToolsView()
        steps = steps_html(self.run, self.runnable, over=True, texts=texts)
        return ToolsView(steps, state=state_html(self.run, self.elapsed_s, over=True, texts=texts))


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

    def choose(self, session: ToolSession, names: list[str], definitions: str) -> str:
        """The definitions with just these of the built-in tools."""
        known = session.builtin()
        return with_tools(definitions, {name: known[name] for name in names if name in known}, known)

    def upload(self, session: ToolSession, path: Path, definitions: str) -> str:
        """The definitions with a lookup in the new table; its columns are in the definition, so an older one goes.

        Raises ValueError with a sentence for people when there is no table in the file.
        """
        session.load(path)
        lookup = {LOOKUP: session.builtin()[LOOKUP]}
        return with_tools(with_tools(definitions, {}, lookup), lookup, lookup)

    async def run(self, session: ToolSession, task: ToolTask, user: str, language: Language) -> Views:
        """The loop between the right buttons; what goes wrong is a sentence. Nothing while another one runs."""
        answer = session.slot.take()
        if answer is None:
            yield ToolsView()
            return
        session.run, texts = None, Texts(language)
        try:
            yield ToolsView("", "", state_html(ToolRun(), 0.0, over=False, texts=texts), running=True)
            async with aclosing(self._loop(session, answer, task, user, texts)) as views:
                async for view in views:
                    yield view
            answer.release()
            last = session.picture(texts)
            yield ToolsView(last.steps, state=last.state, running=False)
        except Exception as error:
            yield ToolsView(state=failure_html(error, texts), running=False)
        finally:
            answer.release()

    async def _loop(
        self, session: ToolSession, answer: RunningAnswer, task: ToolTask, user: str, texts: Texts
    ) -> Views:
        request = await self._request(task, user, texts)
        builtin, started, shown = session.builtin(), time.monotonic(), ""
        session.runnable = tuple(builtin)
        implementations = {name: partial(run_call, tools=builtin) for name in builtin}
        async with (
            aclosing(run_tools(self._service, request, implementations)) as runs,
            aclosing(latest(runs, answer.stop)) as snapshots,
        ):
            async for run in snapshots:
                session.run, session.elapsed_s = run, time.monotonic() - started
                steps = steps_html(run, session.runnable, over=False, texts=texts) if run.steps else ""
                state = state_html(run, session.elapsed_s, over=False, texts=texts)
                # steps are drawn anew only when they change, so that what was folded stays folded
                yield ToolsView(None if steps == shown else steps, _answer_text(run), state)
                shown = steps

    async def _request(self, task: ToolTask, user: str, texts: Texts) -> GenerationRequest:
        tools = await self._checked_tools(task, texts)
        return GenerationRequest(
            request_id=self._service.new_request_id(),
            messages=task.messages(),
            sampling=self._service.sampling(temperature=task.temperature, max_tokens=task.max_tokens),
            user=user,
            tools=tools,
            tool_choice=tool_choice(task.choice) if tools else ToolChoice(),
        )

    async def body(self, task: ToolTask, texts: Texts) -> Body:
        """The API's body for ``task``. Raises AppError for what cannot be asked."""
        tools = await self._checked_tools(task, texts)
        sampling = self._service.sampling(temperature=task.temperature, max_tokens=task.max_tokens)
        model = self._service.info().model
        return openai_body(model, task.messages(), sampling, tools=tools, choice=tool_choice(task.choice))

    async def _checked_tools(self, task: ToolTask, texts: Texts) -> tuple[Tool, ...]:
        """The task's tools. Raises RequestError for what cannot be asked."""
        if not task.prompt.strip():
            raise RequestError(texts("prompt_missing"))
        return await self.tools(task.definitions)


def _answer_text(run: ToolRun) -> str:
    """Text before a call is shown with its step."""
    called = any(step.round == run.round for step in run.steps)
    return "" if called else safe_markdown(run.text)
