"""The tools tab's handlers: from Gradio's arguments to the actions'."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import gradio as gr

from qwen_app.errors import SchemaError
from qwen_app.messages import Tool
from qwen_app.openai_format import RequestBody, openai_body
from qwen_app.ui.chat.controls import DEFAULT_ANSWER_TOKENS, HOTTEST
from qwen_app.ui.shared.context import PageContext, visitor
from qwen_app.ui.shared.strings import TEXTS, Language, Texts
from qwen_app.ui.tools.actions import NAMED, ToolActions, ToolSession, ToolTask, Views, checked, with_tools
from qwen_app.ui.tools.view import definitions_html, table_html

TITLES = {
    "calculate": "tool_calculate",
    "current_time": "tool_current_time",
    "convert_units": "tool_convert_units",
    "example_weather": "tool_example_weather",
    "lookup_table": "tool_lookup_table",
}
LOOKUP = "lookup_table"
MODES = {"auto": "choice_auto", "required": "choice_required", "none": "choice_none"}


class ToolHandlers:
    """What events of the tab call."""

    def __init__(self, page: PageContext) -> None:
        self._service = page.service
        self._actions = ToolActions(page.service)

    async def run(self, request: gr.Request, session: ToolSession, language: Language, *values: Any) -> Views:
        running = self._actions.run(session, self._task(values), visitor(request), language)
        async with aclosing(running) as views:
            async for view in views:
                yield view

    def stop(self, session: ToolSession) -> None:
        session.stop()

    def choose(self, session: ToolSession, ready: list[str], definitions: str | None) -> str:
        known = session.builtin()
        return with_tools(definitions or "", {name: known[name] for name in ready if name in known}, known)

    def upload(self, session: ToolSession, language: Language, path: str, definitions: str | None) -> tuple[str, str]:
        """Offer the lookup in the new table; its columns are in the definition, so an older one goes."""
        refusal, text = "", definitions or ""
        try:
            session.load(Path(path))
        except ValueError as error:
            refusal = str(error)
        else:
            lookup = {LOOKUP: session.builtin()[LOOKUP]}
            text = with_tools(with_tools(text, {}, lookup), lookup, lookup)
        return table_html(session.table, session.table_name, refusal, Texts(language)), text

    async def check(
        self, session: ToolSession, language: Language, definitions: str | None, choice: str
    ) -> tuple[str, Any, Any]:
        """The line under the editor, and the boxes and choices that follow from it."""
        texts, known = Texts(language), session.builtin()
        boxes = titles([one.tool for one in known.values()], texts)
        try:
            tools = await self._actions.tools(definitions or "")
        except SchemaError as problem:
            return definitions_html(problem, (), known, texts), gr.update(choices=boxes), gr.update()
        offered = choices(tools, texts)
        kept = choice if choice in [value for _, value in offered] else "auto"
        return (
            definitions_html(None, tools, known, texts),
            gr.update(choices=boxes, value=[tool.name for tool in tools if tool.name in known]),
            gr.update(choices=offered, value=kept),
        )

    async def translate(
        self, session: ToolSession, language: Language, prompt: str, definitions: str | None, choice: str
    ) -> tuple[Any, ...]:
        """The same in the other language; a prompt of the visitor's own stays."""
        texts = Texts(language)
        said = texts("tools_example") if prompt in TEXTS["tools_example"] else prompt
        table = table_html(session.table, session.table_name, "", texts)
        checks = await self.check(session, language, definitions, choice)
        return *checks, said, table, *session.picture(texts)

    async def body(self, *values: Any) -> RequestBody:
        task = self._task(values)
        tools = await checked(self._actions, task, Texts("en"))
        sampling = self._service.sampling(temperature=task.temperature, max_tokens=task.max_tokens)
        model = self._service.info().model
        return openai_body(model, task.messages(), sampling, tools=tools, choice=task.tool_choice())

    def _task(self, values: tuple[Any, ...]) -> ToolTask:
        """Numbers are brought within range, for a browser may send anything."""
        prompt, definitions, choice, temperature, max_tokens = values
        limit = self._service.info().context_tokens
        return ToolTask(
            prompt=str(prompt or ""),
            definitions=str(definitions or ""),
            choice=str(choice or "auto"),
            temperature=max(0.0, min(HOTTEST, temperature or 0.0)),
            max_tokens=int(max(1, min(limit, max_tokens or DEFAULT_ANSWER_TOKENS))),
        )


def titles(tools: Sequence[Tool], texts: Texts) -> list[tuple[str, str]]:
    """Choices of the boxes for built-in tools."""
    return [(texts(TITLES[tool.name]), tool.name) for tool in tools]


def choices(tools: Sequence[Tool], texts: Texts) -> list[tuple[str, str]]:
    """What can be asked for: the modes, and each tool by its name."""
    modes = [(texts(key), mode) for mode, key in MODES.items()]
    return modes + [(texts("choice_named", name=tool.name), NAMED + tool.name) for tool in tools]
