"""The chat tab: its components and which action each event starts."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Concatenate, ParamSpec

import gradio as gr
from gradio.blocks import Block

from qwen_app.messages import GenerationRequest
from qwen_app.ui.chat.column import ChatParts, build_column, inviting
from qwen_app.ui.chat.commands import ChatCommands, actions_of
from qwen_app.ui.chat.controls import Controls, build_controls
from qwen_app.ui.chat.live_answer import with_live_answer
from qwen_app.ui.chat.session import ChatSession
from qwen_app.ui.chat.view import ChatView, Views
from qwen_app.ui.conversations.choices import Choices
from qwen_app.ui.next_token.panel import NextToken
from qwen_app.ui.shared.code_dialog import add_code_dialog
from qwen_app.ui.shared.context import QUEUED, QUICK, SESSION_TTL_S, PageContext, chats_owner, owner, visitor
from qwen_app.ui.shared.handlers import (
    Update,
    Updates,
    Values,
    changed,
    entry,
    index_of,
    language_of,
    session_of,
    streaming,
    text,
)

P = ParamSpec("P")

# Runs in the browser before each measuring, and hands its values on once nothing was typed for a quarter of a second:
# a promise that is never kept ends an event that a newer one has overtaken. Sending empties the composer, which is such
# a newer event; its sizes are all known by then, so that it costs no count. Whoever changed the composer, its draft is
# kept.
DEBOUNCE = """(...values) => new Promise((send) => {
  setTimeout(() => window.keepDraft?.());
  clearTimeout(window.measuring);
  window.measuring = setTimeout(() => send(values), 250);
})"""


def build(page: PageContext) -> None:
    """Add the tab to the Blocks being built."""
    with gr.Tab(elem_id="chat-tab") as tab:
        page.localize(tab, label="chat_tab")
        session = gr.State(ChatSession(), time_to_live=SESSION_TTL_S)
        with gr.Row(elem_id="chat-row"):
            with gr.Column(scale=4, elem_id="chat-column"):
                parts = build_column(page)
            panel = gr.Column(scale=1, min_width=280, elem_id="settings-panel", visible=not page.for_guests)
            with panel:
                close = gr.Button(size="sm", elem_id="close-settings")
                page.localize(close, value="close")
                controls = build_controls(page, parts.composer)
                _add_reset(page, controls)
                ask_next = None if page.for_guests else NextToken(page)
        handlers = _Handlers(page, session, parts, controls)
        if ask_next is not None:
            add_code_dialog(page, "chat", parts.code, handlers.inputs | {parts.composer}, handlers.body)
            ask_next.wire(handlers.inputs | {parts.composer}, handlers.prompt)
    handlers.wire()


def _add_reset(page: PageContext, controls: Controls) -> None:
    reset = gr.Button(size="sm", elem_id="reset-settings")
    page.localize(reset, value="reset_settings")
    reset.click(lambda: controls.defaults(page.service.info()), None, controls.components(), **QUEUED)


class _Handlers:
    """From Gradio's arguments to the actions', and from views to Gradio's updates."""

    def __init__(self, page: PageContext, session: gr.State, parts: ChatParts, controls: Controls) -> None:
        self._page = page
        self._session = session
        self._parts = parts
        self._controls = controls
        self._actions = actions_of(page)
        self._commands = ChatCommands(self._actions, for_guests=page.for_guests)
        self.inputs: set[Block] = {session, *controls.components()}

    def wire(self) -> None:
        """Tie the components' events to the handlers."""
        page, parts, controls = self._page, self._parts, self._controls
        inputs, shown, measured = self.inputs, parts.shown(), [parts.meter, parts.documents]
        chat, composer, drafted = parts.conversation, parts.composer, inputs | {parts.composer}
        send, command = self._streaming(self.send), self._streaming(self.command)
        # "multiple" wherever answers are drawn, for such an event goes on while it carries others' views
        sent = composer.submit(send, drafted, shown, trigger_mode="multiple", **QUEUED)
        done = parts.command.click(command, inputs, shown, trigger_mode="multiple", **QUEUED)
        measure = self._in_turn(self.measure)
        for over in (sent, done):  # something may have been typed meanwhile
            over.then(measure, drafted, measured, trigger_mode="always_last", **QUEUED)
        chat.retry(self._streaming(self.regenerate), inputs, shown, trigger_mode="multiple", **QUEUED)
        chat.edit(self._streaming(self.edit), inputs, shown, trigger_mode="multiple", **QUEUED)
        chat.example_select(self._streaming(self.example), inputs, shown, trigger_mode="multiple", **QUEUED)
        composer.stop(self.stop, {self._session}, None, **QUICK)
        chat.undo(self._in_turn(self.undo), drafted, shown, **QUEUED)
        parts.new_chat.click(self._in_turn(self.clear), inputs, shown, **QUEUED)
        page.blocks.load(measure, drafted, measured, **QUEUED)
        sliders = (controls.temperature, controls.top_p, controls.max_tokens, controls.context)
        texts = [controls.system.change, controls.seed.change, controls.start.change]
        settings = [*texts, controls.json_mode.change]
        gr.on(
            [composer.change, *settings, *(slider.change for slider in sliders)],
            measure,
            drafted,
            measured,
            js=DEBOUNCE,
            trigger_mode="always_last",
            **QUEUED,
        )
        page.translate(self.speak, drafted, [chat, parts.meter])
        page.translate_apart(self._in_turn(self.translate), drafted | {page.language}, [chat, *measured])

    def _streaming(
        self, handler: Callable[Concatenate[Values, P], Views]
    ) -> Callable[Concatenate[Values, P], AsyncGenerator[Updates, None]]:
        @functools.wraps(handler)
        def views(values: Values, /, *args: P.args, **kwargs: P.kwargs) -> AsyncGenerator[Updates, None]:
            session = self._session_of(values)
            return session.in_order.of(self._drawn(handler(values, *args, **kwargs), writing=session.busy))

        return streaming(views, dict)

    async def _drawn(self, views: Views, *, writing: bool) -> AsyncGenerator[Updates, None]:
        async with aclosing(with_live_answer(views, writing=writing)) as views:
            async for view in views:
                yield self._updates(view)

    def _in_turn(
        self, handler: Callable[[Values], Awaitable[Updates]]
    ) -> Callable[[Values], AsyncGenerator[Updates, None]]:
        """``handler`` with its one view sent in its turn, among those of ``_streaming``."""

        async def only(values: Values) -> AsyncGenerator[Updates, None]:
            yield await handler(values)

        @functools.wraps(handler)
        def view(values: Values, /) -> AsyncGenerator[Updates, None]:
            return self._session_of(values).in_order.of(only(values), carries=False)

        return streaming(view, dict)

    def send(self, values: Values, request: gr.Request) -> Views:
        draft = text(values[self._parts.composer])
        return self._actions.send(self._session_of(values, request), draft, self._choices(values), visitor(request))

    def command(self, values: Values, event: gr.EventData, request: gr.Request) -> Views:
        session, choices = self._session_of(values, request), self._choices(values)
        return self._commands.run(session, event._data, choices, visitor(request))

    def example(self, values: Values, event: gr.SelectData, request: gr.Request) -> Views:
        question = text(entry(event.value, "text"))
        session = self._session_of(values, request)
        return self._actions.ask(session, question, self._choices(values), visitor(request))

    def regenerate(self, values: Values, request: gr.Request) -> Views:
        return self._actions.regenerate(self._session_of(values, request), self._choices(values), visitor(request))

    def edit(self, values: Values, event: gr.EditData, request: gr.Request) -> Views:
        index, shown = index_of(event.index), text(event.value)
        session, choices = self._session_of(values, request), self._choices(values)
        return self._actions.edit(session, index, shown, choices, visitor(request))

    def stop(self, values: Values) -> None:
        self._session_of(values).stop()

    async def undo(self, values: Values) -> Updates:
        draft = text(values[self._parts.composer])
        return self._settled(await self._actions.undo(self._session_of(values), self._choices(values), draft))

    async def clear(self, values: Values) -> Updates:
        session = self._session_of(values)
        cleared = await self._actions.clear(session, self._choices(values), temporary=session.chat.temporary)
        return self._settled(cleared)

    async def measure(self, values: Values) -> Updates:
        """The meter for the draft, and its documents."""
        draft = text(values[self._parts.composer])
        view = await self._actions.look(self._session_of(values), draft, self._choices(values))
        return changed({self._parts.meter: view.meter, self._parts.documents: view.documents})

    async def speak(self, values: Values, _: gr.Request) -> Updates:
        """What is said from now on is said in the language that is chosen, and what is measured now."""
        session = self._session_of(values)
        session.language = language_of(values[self._page.language])
        return changed(
            {self._parts.conversation: inviting(session.texts), self._parts.meter: await self._meter(values)}
        )

    async def translate(self, values: Values) -> Updates:
        """What was said, in the same, with the documents' chips; and what is measured again, for a meter of before may
        have been on its way."""
        session = self._session_of(values)
        meter, attached = None if session.busy else await self._meter(values), session.attached
        chips = await self._actions.composed.documents(session, self._choices(values)) if attached else None
        picture = self._actions.picture(session)
        if session.busy:
            del picture[-1]  # it is being written, and drawn apart
        shown = chips if session.attached == attached else None
        return changed({self._parts.conversation: picture, self._parts.meter: meter, self._parts.documents: shown})

    async def prompt(self, values: Values, user: str) -> GenerationRequest:
        """What would be sent for the draft, else for the last question."""
        draft = text(values[self._parts.composer])
        return await self._actions.composed.prompt(self._session_of(values), draft, self._choices(values), user)

    async def body(self, values: Values, user: str) -> dict[str, object]:
        """The request for the draft, else for the last question, with what of the chat would be sent."""
        draft = text(values[self._parts.composer])
        return await self._actions.composed.body(self._session_of(values), draft, self._choices(values))

    async def _meter(self, values: Values) -> str | None:
        draft = text(values[self._parts.composer])
        return await self._actions.measure(self._session_of(values), draft, self._choices(values))

    def _session_of(self, values: Values, request: gr.Request | None = None) -> ChatSession:
        session = session_of(values[self._session], ChatSession)
        if request is not None:
            session.owner, session.uploader = chats_owner(request), owner(request)
        return session

    def _settled(self, view: ChatView) -> Updates:
        """For a view after which no answer is being written."""
        return self._updates(dataclasses.replace(view, live="", line=""))

    def _choices(self, values: Values) -> Choices:
        """What is set; for guests, who have no settings, what stands there at first."""
        info = self._page.service.info()
        return self._controls.read(self._controls.defaults(info) if self._page.for_guests else values, info)

    def _updates(self, view: ChatView) -> Updates:
        parts = self._parts
        composer: Update | None = None
        if view.running is not None:
            composer = gr.update(submit_btn=not view.running, stop_btn=view.running)
            composer |= {} if view.draft is None else {"value": view.draft}
        return changed(
            {
                parts.conversation: view.messages,
                parts.live: view.live,
                parts.line: view.line,
                parts.meter: view.meter,
                parts.notice: view.notice,
                parts.composer: composer,
                parts.documents: view.documents,
                parts.shown_chat: None if view.shown is None else json.dumps(dataclasses.asdict(view.shown)),
            }
        )
