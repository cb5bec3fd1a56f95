"""What the tools tab does: check definitions, run the loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

from qwen_app.agent_loop import Implementation, ToolRun, run_tools
from qwen_app.messages import GenerationRequest, Message, Tool, ToolChoice
from qwen_app.openai_format import RequestBody, openai_body
from qwen_app.service import Service
from qwen_app.ui.shared.notices import failure_html
from qwen_app.ui.shared.strings import Language, Texts
from qwen_app.ui.shared.throttle import latest
from qwen_app.ui.tools.builtin_calls import BuiltinCalls
from qwen_app.ui.tools.definitions import tools_or_problem, with_tools
from qwen_app.ui.tools.session import ToolSession
from qwen_app.ui.tools.task import ToolTask
from qwen_app.ui.tools.view import DefinitionsView, ToolsView, answer_text, definitions_view, state_html, steps_html

Views = AsyncGenerator[ToolsView, None]


def every_builtin(known: Mapping[str, Tool]) -> str:
    """The definitions of all tools that are ready, which the page begins with."""
    return with_tools("", known, known)


class ToolActions:
    """Handlers of the tools tab, without its components."""

    def __init__(self, service: Service, calls: BuiltinCalls) -> None:
        self._service = service
        self._calls = calls

    def choose(self, session: ToolSession, names: list[str], definitions: str) -> str:
        """The definitions with just these of the built-in tools."""
        known = session.builtin()
        return with_tools(definitions, {name: known[name] for name in names if name in known}, known)

    async def check(
        self, session: ToolSession, definitions: str, chosen: str, user: str, texts: Texts
    ) -> DefinitionsView:
        """Whether the definitions can be offered, and what follows from them."""
        tools, problem = await tools_or_problem(definitions, user)
        builtin = list(session.builtin().values())
        return definitions_view(problem, tools, builtin, chosen, texts)

    async def run(
        self, session: ToolSession, task: ToolTask, user: str, language: Language, files_of: str = ""
    ) -> Views:
        """The loop between the right buttons; what goes wrong is a sentence. Nothing while another one runs.

        ``files_of`` is whose files may be searched, empty: nobody's.
        """
        answer = session.slot.take()
        if answer is None:
            yield ToolsView()
            return
        session.run, texts = None, session.slot.speak(language)
        try:
            yield ToolsView("", "", state_html(ToolRun(), 0.0, over=False, texts=texts), running=True)
            context_tokens = self._service.info().context_tokens
            implementations = self._calls.implementations(session, user, files_of, context_tokens)
            async with aclosing(self._loop(session, answer.stop, task, implementations, user, texts)) as views:
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
        self,
        session: ToolSession,
        stop: asyncio.Event,
        task: ToolTask,
        implementations: dict[str, Implementation],
        user: str,
        texts: Texts,
    ) -> Views:
        request = await self._request(task, user, texts)
        session.offered = bool(request.tools) and request.tool_choice.mode != "none"
        started, shown = time.monotonic(), ""
        session.runnable = tuple(implementations)
        async with (
            aclosing(run_tools(self._service, request, implementations)) as runs,
            aclosing(latest(runs, stop)) as snapshots,
        ):
            async for run in snapshots:
                session.run, session.elapsed_s = run, time.monotonic() - started
                steps = steps_html(run, session.runnable, over=False, texts=texts) if run.steps else ""
                state = state_html(run, session.elapsed_s, over=False, texts=texts)
                # steps are drawn anew only when they change, so that what was folded stays folded
                yield ToolsView(None if steps == shown else steps, answer_text(run), state)
                shown = steps

    async def _request(self, task: ToolTask, user: str, texts: Texts) -> GenerationRequest:
        tools = await task.checked_tools(texts, user)
        return GenerationRequest(
            request_id=self._service.new_request_id(),
            messages=(Message("user", task.prompt),),
            sampling=self._service.sampling(temperature=task.temperature, max_tokens=task.max_tokens),
            user=user,
            tools=tools,
            tool_choice=task.tool_choice() if tools else ToolChoice(),
        )

    async def body(self, task: ToolTask, user: str, texts: Texts) -> RequestBody:
        """The API's body for ``task``. Raises AppError for what cannot be asked."""
        tools = await task.checked_tools(texts, user)
        sampling = self._service.sampling(temperature=task.temperature, max_tokens=task.max_tokens)
        model = self._service.info().model
        return openai_body(model, (Message("user", task.prompt),), sampling, tools=tools, choice=task.tool_choice())
