"""What a tab gets to build itself with."""

from __future__ import annotations

import inspect
import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypedDict

import gradio as gr
from gradio.blocks import Block
from gradio.events import Dependency

from qwen_app.documents.document_store import DocumentStore
from qwen_app.http.addresses import user_at
from qwen_app.http.visitors import chats_owner_of, guest_of, visitor_of
from qwen_app.knowledge.knowledge_base import KnowledgeBase
from qwen_app.saved_chats.saved_chats import SavedChats
from qwen_app.service import Service
from qwen_app.settings import Settings
from qwen_app.ui.shared.handlers import Updates, Values, language_of, merged
from qwen_app.ui.shared.strings import Texts
from qwen_app.uploads.table_store import TableStore

SESSION_TTL_S = 24 * 3600  # how long a browser tab's session is kept once nobody uses it


class EventOptions(TypedDict):
    queue: bool
    show_progress: Literal["hidden"]
    api_visibility: Literal["private"]


Sample = tuple[str, ...]  # the same text in the order of LANGUAGES

# What was written in a field survives a reload, and a sample that stands in one follows the language. Both in the
# browser alone: what the server would send back may be older than what is being typed. A field that was never seen has
# the value null, and one that is seen before it was read changes to nothing: neither is what somebody wrote.
_WRITE = """(value) => {
  if (!window.fieldsRead?.has("NAME")) return;
  if (value === null || FIRST.includes(value)) sessionStorage.removeItem("field:NAME");
  else sessionStorage.setItem("field:NAME", value);
}"""
_READ = """(value) => {
  (window.fieldsRead ??= new Set()).add("NAME");
  const untouched = value === null || FIRST.includes(value);
  return (untouched ? sessionStorage.getItem("field:NAME") : null) ?? value ?? "";
}"""
_TRANSLATE = """(language, value) =>
  SAMPLES.find((sample) => sample.includes(value))?.[language === "zh" ? 1 : 0] ?? value"""

# Event options. What is queued comes to a browser tab by one stream, in the order in which it was sent. Its queue
# holds nobody back, the engine's decides who runs. What is not queued answers at once, on a way of its own, and may
# come after what was sent later: this is for what draws nothing that queued events draw too, unless the page loads.
QUEUED: EventOptions = {"queue": True, "show_progress": "hidden", "api_visibility": "private"}
QUICK: EventOptions = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}


@dataclass(frozen=True, slots=True)
class Stores:
    """What the server keeps for visitors: their uploaded tables, their chats, documents that wait to be sent."""

    tables: TableStore
    saved: SavedChats
    documents: DocumentStore
    knowledge: KnowledgeBase


class TurnCounter(Protocol):
    """Counts what guests ask."""

    def take(self, user: str) -> None:
        """Count one. Raises AppError where ``user`` may not ask."""
        ...

    def give_back(self, user: str) -> None:
        """It came to nothing."""
        ...


Translate = Callable[[Values, gr.Request], Updates | Awaitable[Updates]]


@dataclass(frozen=True, slots=True)
class Translator:
    """What says ``outputs`` in the language that is chosen now."""

    handler: Callable[..., Any]
    inputs: frozenset[Block]
    outputs: tuple[Block, ...]


@dataclass(slots=True)
class PageContext:
    """Shared by all tabs of one page. ``language`` holds "en" or "zh" and changes when the visitor switches.

    ``turns`` are counted on the page of guests, and None on the other.
    """

    service: Service
    settings: Settings
    stores: Stores
    blocks: gr.Blocks
    language: gr.Radio
    turns: TurnCounter | None = None
    _localized: list[tuple[Block, dict[str, str]]] = field(default_factory=list)
    _translators: list[Translator] = field(default_factory=list)
    _apart: list[Translator] = field(default_factory=list)

    @property
    def for_guests(self) -> bool:
        return self.turns is not None

    def notices_for(self, request: gr.Request) -> tuple[str, ...]:
        """What the server tells whoever runs it; nothing for anybody else."""
        owner = not self.for_guests and self.settings.is_owner(request.username or "")
        return self.service.notices() if owner else ()

    def localize(self, component: Block, **keys: str) -> None:
        """Set properties of ``component`` to the texts with these keys, now in English and on every switch."""
        english = Texts("en")
        for name, key in keys.items():
            setattr(component, name, english(key))
        self._localized.append((component, keys))

    def keep(self, field: gr.Textbox | gr.Code, *, first: Sample = ("",)) -> None:
        """Keep what is written in ``field``, known by its ``elem_id``, over a reload; ``first`` stands there before."""
        name, texts = str(field.elem_id), json.dumps(first)
        read, write = (script.replace("NAME", name).replace("FIRST", texts) for script in (_READ, _WRITE))
        field.change(None, [field], None, js=write, api_visibility="private")
        self.blocks.load(None, [field], [field], js=read, api_visibility="private")

    def translate_samples(self, field: gr.Textbox, samples: Sequence[Sample]) -> None:
        """Say a sample that stands in ``field`` in the visitor's language; what is his own stays."""
        script = _TRANSLATE.replace("SAMPLES", json.dumps(samples))
        self.language.change(None, [self.language, field], [field], js=script, api_visibility="private")

    def translate(self, handler: Translate, inputs: Iterable[Block], outputs: Iterable[Block]) -> None:
        """Call ``handler`` at every switch of language, with the values of ``inputs`` and the language among others."""
        self._translators.append(Translator(handler, frozenset(inputs), tuple(outputs)))

    def translate_value(self, component: Block, said: Callable[[Texts], str]) -> None:
        """Give ``component`` what ``said`` makes of the words, at every switch of language."""
        self.translate(lambda values, _: {component: said(Texts(language_of(values[self.language])))}, (), [component])

    def translate_apart(self, handler: Callable[..., Any], inputs: Iterable[Block], outputs: Iterable[Block]) -> None:
        """As ``translate``, but in an event of its own, after that of all others: for a handler that takes long, or
        whose views are sent in their turn. It is one as Gradio takes them."""
        self._apart.append(Translator(handler, frozenset(inputs), tuple(outputs)))

    def wire_translations(self) -> Dependency:
        """Tie them to the switch, once every tab is built. Returns the event of all that are not apart.

        That has one handler: while it runs, Gradio's browser side keeps that the event came again, and when it is done
        sends that to all handlers of the event. Two would so call each other for ever.
        """
        self._translators.append(Translator(self._localize, frozenset(), tuple(one for one, _ in self._localized)))
        inputs = {self.language}.union(*(one.inputs for one in self._translators))
        outputs = dict.fromkeys(output for one in self._translators for output in one.outputs)
        translated = self.language.change(self._translated, inputs, list(outputs), **QUEUED)
        for one in self._apart:
            translated.then(one.handler, set(one.inputs), list(one.outputs), trigger_mode="always_last", **QUEUED)
        return translated

    async def _translated(self, values: Values, request: gr.Request) -> Updates:
        updates: Updates = {}
        for one in self._translators:
            said = one.handler(values, request)
            updates = merged(updates, await said if inspect.isawaitable(said) else said)
        return updates

    def _localize(self, values: Values, _: gr.Request) -> Updates:
        texts = Texts(language_of(values[self.language]))
        return {
            component: dict(gr.update(), **{name: texts(key) for name, key in keys.items()})
            for component, keys in self._localized
        }


def owner(request: gr.Request) -> str:
    """Whose an upload is that this request speaks of."""
    return visitor_of(request.request) if request.request is not None else ""


def chats_owner(request: gr.Request) -> str:
    """Whose saved chats this request may read; empty: nobody's."""
    return chats_owner_of(request.request) if request.request is not None else ""


def visitor(request: gr.Request) -> str:
    """Whom fairness counts a request for: the login, the guest, else the address. Tabs are no users."""
    guest = guest_of(request.request) if request.request is not None else ""
    return guest or request.username or user_at(request.client.host if request.client else "")
