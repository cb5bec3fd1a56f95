"""The files tab: collections at the left, questions and answers at the right."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

import gradio as gr
from gradio.blocks import Block

from qwen_app.ui.files.asking import AskingActions, Views
from qwen_app.ui.files.keeping import CollectionActions
from qwen_app.ui.files.picking import PICK_FILES
from qwen_app.ui.files.session import FilesSession
from qwen_app.ui.files.view import CollectionView, FilesView
from qwen_app.ui.markdown.drawn_answer import drawn_answer
from qwen_app.ui.shared.context import QUEUED, QUICK, SESSION_TTL_S, PageContext, chats_owner, owner, visitor
from qwen_app.ui.shared.handlers import Updates, Values, changed, entry, language_of, session_of, streaming, text
from qwen_app.ui.shared.strings import Texts

FIRST_COLLECTION = "files"

# A click on a footnote opens its passage.
FOOTNOTES = """
element.closest("#files-side").addEventListener("click", (event) => {
  const number = event.target.closest("#files-answer sup")?.textContent.match(/\\d+/)?.[0];
  const source = number && document.querySelector(`#files-sources details[data-number="${number}"]`);
  if (!source) return;
  source.open = true;
  source.scrollIntoView({ block: "nearest" });
  source.querySelector("summary").focus();
});
"""


# How documents of the chat come here, as {ids, question}: once the look at the tab, which began before, is on the page.
# A browser may show the answers to two events in either order.
ARRIVALS = """
window.takeArrival = () => {
  const arrival = window.filesArrival;
  if (!arrival || !window.filesLooked) return;
  window.filesArrival = null;
  trigger("click", arrival);
};
window.takeArrival(); // a tab is built when it is first shown
"""
LOOKED = "() => { window.filesLooked = true; window.takeArrival?.(); }"


@dataclass(frozen=True, slots=True)
class _Parts:
    """The tab's components."""

    collection: gr.Dropdown
    add: gr.Button
    picked: gr.Textbox
    told: gr.HTML
    files: gr.CheckboxGroup
    remove: gr.Button
    drop: gr.Button
    sure: gr.Column
    sure_text: gr.HTML
    drop_yes: gr.Button
    drop_no: gr.Button
    question: gr.Textbox
    ask: gr.Button
    stop: gr.Button
    answer: gr.Markdown
    state: gr.HTML
    sources: gr.HTML
    arrivals: gr.HTML


def build(page: PageContext) -> None:
    """Add the tab to the Blocks being built."""
    with gr.Tab(elem_id="files-tab") as tab:
        page.localize(tab, label="files_tab")
        session = gr.State(FilesSession(), time_to_live=SESSION_TTL_S, delete_callback=FilesSession.stop)
        with gr.Row(elem_classes="bench"):
            parts = _parts(page)
    _Handlers(page, session, parts).wire(tab)


def _parts(page: PageContext) -> _Parts:
    with gr.Column(scale=1, min_width=280, elem_classes="bench-side", elem_id="files-kept"):
        collection = gr.Dropdown(
            [FIRST_COLLECTION], value=FIRST_COLLECTION, allow_custom_value=True, elem_id="files-collection"
        )
        with gr.Row(elem_classes="actions"):
            add = gr.Button(variant="primary", size="md", elem_id="files-add")
            picked = gr.Textbox(visible=False)
        told = gr.HTML(elem_id="files-told")
        files = gr.CheckboxGroup([], elem_id="files-list")
        with gr.Row(elem_classes="actions"):
            remove = gr.Button(size="md", elem_id="files-remove")
            drop = gr.Button(size="md", elem_id="files-drop")
        sure = _sure(page)
    with gr.Column(scale=2, min_width=320, elem_classes="bench-side", elem_id="files-side"):
        question = gr.Textbox(lines=2, max_lines=8, elem_id="files-question")
        with gr.Row(elem_classes="actions"):
            ask = gr.Button(variant="primary", size="md", elem_id="files-ask")
            stop = gr.Button(size="md", interactive=False, elem_id="files-stop")
        answer = drawn_answer("files-answer")
        state = gr.HTML(elem_id="files-state")
        sources = gr.HTML(elem_id="files-sources", js_on_load=FOOTNOTES)
        arrivals = gr.HTML("", elem_id="files-arrivals", js_on_load=ARRIVALS)
    page.localize(collection, label="files_collection", info="files_collection_info")
    page.localize(add, value="files_add")
    page.localize(files, label="files_files", info="files_files_info")
    page.localize(remove, value="files_remove")
    page.localize(drop, value="files_drop")
    page.localize(question, label="files_question", placeholder="files_question_hint")
    page.localize(ask, value="files_ask")
    page.localize(stop, value="stop")
    side = (collection, add, picked, told, files, remove, drop, *sure)
    return _Parts(*side, question, ask, stop, answer, state, sources, arrivals)


def _sure(page: PageContext) -> tuple[gr.Column, gr.HTML, gr.Button, gr.Button]:
    """The question before a collection is deleted, and its two answers."""
    with gr.Column(visible=False, elem_id="files-sure") as box:
        sentence = gr.HTML()
        with gr.Row(elem_classes="actions"):
            yes = gr.Button(variant="stop", size="md", elem_id="files-drop-yes")
            no = gr.Button(size="md", elem_id="files-drop-no")
    page.localize(yes, value="files_drop_yes")
    page.localize(no, value="files_drop_no")
    return box, sentence, yes, no


class _Handlers:
    """From Gradio's arguments to the actions', and from views to Gradio's updates."""

    def __init__(self, page: PageContext, session: gr.State, parts: _Parts) -> None:
        self._page = page
        self._session = session
        self._parts = parts
        self._asking = AskingActions(page.service, page.stores.knowledge)
        self._keeping = CollectionActions(page.stores.knowledge, page.stores.documents)

    def wire(self, tab: gr.Tab) -> None:
        """Tie the components' events to the handlers."""
        page, parts = self._page, self._parts
        context: set[Block] = {self._session, page.language}
        listed = self._listed()
        shown = [parts.answer, parts.state, parts.sources, parts.ask, parts.stop]
        chosen = {parts.collection} | context
        asking = [parts.ask.click, parts.question.submit]
        gr.on(asking, streaming(self.ask, self._updates), chosen | {parts.question}, shown, **QUEUED)
        parts.arrivals.click(self.arrive, context, [*listed, *shown, parts.question], **QUEUED)
        parts.stop.click(self.stop, {self._session}, None, **QUICK)
        tab.select(self.show, chosen, listed, **QUEUED).then(None, None, None, js=LOOKED)
        parts.collection.input(self.choose, chosen, listed, trigger_mode="always_last", **QUEUED)
        parts.add.click(
            self.add,
            [parts.picked, parts.collection, page.language, self._session],
            listed,
            js=PICK_FILES,
            trigger_mode="multiple",  # a picker that was closed never answers
            **QUEUED,
        )
        parts.remove.click(self.remove, chosen | {parts.files}, listed, **QUEUED)
        parts.drop.click(self.ask_drop, chosen, listed, **QUEUED)
        parts.drop_yes.click(self.drop, chosen, listed, **QUEUED)
        parts.drop_no.click(self.show, chosen, listed, **QUEUED)
        page.translate(self.translate, context, shown)
        page.keep(parts.question)

    def ask(self, values: Values, request: gr.Request) -> Views:
        parts, language = self._parts, language_of(values[self._page.language])
        collection, question = text(values[parts.collection]), text(values[parts.question])
        session = self._session_of(values)
        return self._asking.ask(session, chats_owner(request), visitor(request), collection, question, language)

    async def arrive(self, values: Values, event: gr.EventData, request: gr.Request) -> AsyncGenerator[Updates, None]:
        """Documents of the chat are kept in a collection, which is asked at once where there is a question."""
        sent, texts, parts = event._data, self._texts(values), self._parts
        ids, question = entry(sent, "ids"), text(entry(sent, "question")).strip()
        wanted = [text(one) for one in ids] if isinstance(ids, list) else []
        view = await self._keeping.arrive(chats_owner(request), owner(request), wanted, texts)
        nothing: Updates = self._updates(FilesView(answer="", state="", sources=""))
        session = self._session_of(values)
        session.arrived = view.shown
        yield nothing | self._changed_listing(session, view) | {parts.question: question}
        if not question or view.shown not in view.collections:
            return
        inputs = dict(values) | {parts.collection: view.shown, parts.question: question}
        async with aclosing(self.ask(inputs, request)) as views:
            async for answer in views:
                yield self._updates(answer)

    def stop(self, values: Values) -> None:
        self._session_of(values).stop()

    async def show(self, values: Values, request: gr.Request) -> Updates:
        """The collection that documents of the chat arrived in last, else the one that was shown."""
        arrived = self._session_of(values).arrived
        return await self._shown(arrived or self._collection(values), values, request)

    async def choose(self, values: Values, request: gr.Request) -> Updates:
        self._session_of(values).arrived = ""
        return await self._shown(self._collection(values), values, request)

    async def _shown(self, name: str, values: Values, request: gr.Request) -> Updates:
        session = self._session_of(values)
        look = session.looks.begin()
        view = await self._keeping.shown(chats_owner(request), name, self._texts(values))
        if session.looks.is_overtaken(look):
            return dict.fromkeys(self._listed(), gr.skip())
        if name not in view.collections:  # a new one is made with its first file
            view = CollectionView(view.collections, name, [])
        return self._listing(view)

    async def add(
        self, outcome: object, collection: object, language: object, session: object, request: gr.Request
    ) -> list[object]:
        """What PICK_FILES has to tell, in the order of the outputs: the collection, its files, what became of them."""
        texts = Texts(language_of(language))
        view = await self._keeping.add(chats_owner(request), owner(request), text(collection), text(outcome), texts)
        return list(self._changed_listing(session_of(session, FilesSession), view).values())

    async def remove(self, values: Values, request: gr.Request) -> Updates:
        ticked = values[self._parts.files]
        file_ids = [text(one) for one in ticked] if isinstance(ticked, list) else []
        owner_name, texts = chats_owner(request), self._texts(values)
        view = await self._keeping.remove(owner_name, self._collection(values), file_ids, texts)
        return self._changed_listing(self._session_of(values), view)

    async def ask_drop(self, values: Values, request: gr.Request) -> Updates:
        session = self._session_of(values)
        view = await self._keeping.ask_drop(chats_owner(request), self._collection(values), self._texts(values))
        session.dropping = view.dropping
        return self._changed_listing(session, view)

    async def drop(self, values: Values, request: gr.Request) -> Updates:
        session = self._session_of(values)
        view = await self._keeping.drop(chats_owner(request), session.dropping, self._texts(values))
        return self._changed_listing(session, view)

    def translate(self, values: Values, _: gr.Request) -> Updates:
        session = self._session_of(values)
        texts = session.slot.speak(language_of(values[self._page.language]))
        return self._updates(self._asking.picture(session, texts))

    def _session_of(self, values: Values) -> FilesSession:
        return session_of(values[self._session], FilesSession)

    def _collection(self, values: Values) -> str:
        return text(values[self._parts.collection])

    def _texts(self, values: Values) -> Texts:
        return Texts(language_of(values[self._page.language]))

    def _changed_listing(self, session: FilesSession, view: CollectionView) -> Updates:
        """The collection after a change, which what was looked up before it does not overwrite."""
        session.looks.begin()
        return self._listing(view)

    def _listing(self, view: CollectionView) -> Updates:
        names = view.collections or [FIRST_COLLECTION]
        return {
            self._parts.collection: gr.update(choices=names, value=view.shown or names[0]),
            self._parts.files: gr.update(choices=view.files, value=[]),
            self._parts.told: view.told,
            self._parts.sure: gr.update(visible=bool(view.sure)),
            self._parts.sure_text: view.sure,
        }

    def _listed(self) -> list[Block]:
        parts = self._parts
        return [parts.collection, parts.files, parts.told, parts.sure, parts.sure_text]

    def _updates(self, view: FilesView) -> Updates:
        parts = self._parts
        return changed(
            {
                parts.answer: view.answer,
                parts.state: view.state,
                parts.sources: view.sources,
                parts.ask: None if view.running is None else gr.update(interactive=not view.running),
                parts.stop: None if view.running is None else gr.update(interactive=view.running),
            }
        )
