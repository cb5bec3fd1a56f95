from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from dataclasses import replace

import pytest

from qwen_app.documents.document import Document, Section
from qwen_app.documents.document_store import DocumentStore
from qwen_app.knowledge import file_store
from qwen_app.knowledge.knowledge_base import KnowledgeBase, knowledge_in_memory
from qwen_app.knowledge.search import FoundPassage
from qwen_app.service import Service
from qwen_app.testing.scripted_engine import Script, ScriptedEngine
from qwen_app.ui.files.asking import AskingActions
from qwen_app.ui.files.keeping import CollectionActions
from qwen_app.ui.files.picking import picked_files
from qwen_app.ui.files.session import FilesSession
from qwen_app.ui.files.view import FilesView, answer_text, sources_html
from qwen_app.ui.shared.render import WORD_JOINER
from qwen_app.ui.shared.strings import Texts
from tests.knowledge.held_embedder import PATIENCE_S, HeldEmbedder
from tests.knowledge.keeping import keep_in

pytestmark = pytest.mark.anyio
CONTRACT = Document("contract.txt", "txt", (Section("page", 3, 3, "A late payment costs two per cent <b> a month."),))
ENGLISH = Texts("en")


@pytest.fixture
def knowledge() -> KnowledgeBase:
    return knowledge_in_memory()


async def views(running: AsyncGenerator[FilesView, None]) -> list[FilesView]:
    return [view async for view in running]


def asking(knowledge: KnowledgeBase, *said: str, context_tokens: int = 4096) -> tuple[AskingActions, ScriptedEngine]:
    engine = ScriptedEngine(Script(said), context_tokens=context_tokens)
    return AskingActions(Service(engine), knowledge), engine


async def test_an_answer_has_footnotes_and_the_passages_behind_them(knowledge: KnowledgeBase) -> None:
    await keep_in(knowledge, "ada", "work", CONTRACT)
    tab, engine = asking(knowledge, "Two per cent ", "[1], ", "says [7].")
    session = FilesSession()
    shown = await views(tab.ask(session, "ada", "ada", "work", "What does a late payment cost?", "en"))
    assert (shown[0].running, shown[-1].running) == (True, False)
    answer = [view.answer for view in shown if view.answer][-1]
    assert '<sup title="[1]">[1]</sup>' in answer
    assert "[7]" not in answer
    sources = [view.sources for view in shown if view.sources][-1]
    assert 'class="source cited" data-number="1"' in sources
    assert "page 3" in sources
    assert "&lt;b&gt;" in sources
    assert "late payment costs two per cent" in engine.requests[0].messages[1].content
    assert "引用的段落" in str(tab.picture(session, Texts("zh")).sources)


async def test_what_nothing_matches_is_not_in_the_files_and_not_asked(knowledge: KnowledgeBase) -> None:
    await keep_in(knowledge, "ada", "work", CONTRACT)
    tab, engine = asking(knowledge, "Anything.")
    for owner, question in (("ada", "zebra"), ("bob", "late payment")):
        shown = await views(tab.ask(FilesSession(), owner, owner, "work", question, "en"))
        assert "Not in your files" in "".join(str(view.state) for view in shown)
    assert engine.requests == []


async def test_only_passages_that_fit_are_sent(knowledge: KnowledgeBase) -> None:
    pages = tuple(Section("page", n, n, f"late payment {n} " + "word " * 100) for n in range(1, 5))
    await keep_in(knowledge, "ada", "work", Document("book.txt", "txt", pages))
    tab, engine = asking(knowledge, "So.", context_tokens=450)
    await views(tab.ask(FilesSession(), "ada", "ada", "work", "late payment", "en"))
    assert engine.requests[0].messages[1].content.count("<passage ") == 2
    tiny, _ = asking(knowledge, "So.", context_tokens=60)
    shown = await views(tiny.ask(FilesSession(), "ada", "ada", "work", "late payment", "en"))
    assert "too short" in str(shown[-1].state)


async def test_stop_keeps_what_was_said(knowledge: KnowledgeBase) -> None:
    await keep_in(knowledge, "ada", "work", CONTRACT)
    engine = ScriptedEngine(lambda request: Script(("word ",) * 500, token_s=0.05))
    tab, session, shown = AskingActions(Service(engine), knowledge), FilesSession(), []
    async for view in tab.ask(session, "ada", "ada", "work", "late payment", "en"):
        shown.append(view)
        if "word" in str(view.answer):
            session.stop()
    assert any("Stopped" in str(view.state) for view in shown)
    assert not session.slot.busy


async def test_files_are_kept_replaced_and_forgotten(knowledge: KnowledgeBase) -> None:
    documents = DocumentStore()
    tab = CollectionActions(knowledge, documents)
    outcome = json.dumps(
        [
            {"name": "contract.txt", "id": documents.keep("ada", CONTRACT).id},
            {"name": "a.zip", "reason": "archive", "values": {"name": "a.zip"}},
            {"name": "b", "reason": "archive", "values": {}, "detail": "No."},
            {"name": "c", "id": documents.keep("bob", CONTRACT).id},
        ]
    )
    view = await tab.add("ada", "ada", " my  work ", outcome, ENGLISH)
    assert (view.collections, view.shown) == (["my work"], "my work")
    ((label, file_id),) = view.files
    assert label == "contract.txt · 46 characters"
    for said in ("contract.txt can be asked now.", "a.zip is an archive", "No.", "kept no longer"):
        assert said in view.told
    assert (await tab.remove("ada", "my work", [file_id], ENGLISH)).files == []
    asked = await tab.ask_drop("ada", "my work", ENGLISH)
    assert (await tab.drop("ada", asked.dropping, ENGLISH)).collections == []


@pytest.mark.parametrize("meanwhile", ["renamed", "deleted"])
async def test_files_stay_together_whatever_becomes_of_their_collection_meanwhile(meanwhile: str) -> None:
    embedder, documents = HeldEmbedder(), DocumentStore()
    knowledge = knowledge_in_memory(embedder)
    tab = CollectionActions(knowledge, documents)
    sent = [documents.keep("ada", replace(CONTRACT, name=name)).id for name in ("a.txt", "b.txt")]
    outcome = json.dumps([{"id": one} for one in sent])
    adding = asyncio.create_task(tab.add("ada", "ada", "work", outcome, ENGLISH))
    await asyncio.to_thread(embedder.asked.wait, PATIENCE_S)
    work = await knowledge.create("ada", "work")
    if meanwhile == "renamed":
        await knowledge.rename("ada", work, "home")
    else:
        await knowledge.drop("ada", work)
    embedder.go_on.set()
    view = await adding
    if meanwhile == "renamed":
        assert (view.collections, view.shown, len(view.files)) == (["home"], "home", 2)
    else:
        assert (view.collections, view.told.count("not any more")) == ([], 2)


async def test_the_collection_of_which_it_was_asked_is_deleted_whatever_it_is_called(knowledge: KnowledgeBase) -> None:
    tab = CollectionActions(knowledge, DocumentStore())
    await keep_in(knowledge, "ada", "work", CONTRACT)
    work = await knowledge.create("ada", "work")
    asked = await tab.ask_drop("ada", "work", ENGLISH)
    await knowledge.rename("ada", work, "old")
    await keep_in(knowledge, "ada", "work", CONTRACT)
    assert (await tab.drop("ada", asked.dropping, ENGLISH)).collections == ["work"]


async def test_a_collection_is_forgotten_only_where_there_is_one_and_after_a_question(knowledge: KnowledgeBase) -> None:
    tab = CollectionActions(knowledge, DocumentStore())
    assert (await tab.ask_drop("ada", "work", ENGLISH)).sure == ""
    await keep_in(knowledge, "ada", "work", CONTRACT)
    assert (await tab.ask_drop("ada", "other", ENGLISH)).sure == ""
    asked = await tab.ask_drop("ada", "work", ENGLISH)
    assert "“work” with 1 file?" in asked.sure
    assert asked.collections == ["work"]
    assert "Tick the files" in (await tab.remove("ada", "work", [], ENGLISH)).told


async def test_a_file_that_is_refused_leaves_no_collection_behind(
    knowledge: KnowledgeBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents = DocumentStore()
    tab = CollectionActions(knowledge, documents)
    await knowledge.create("ada", "empty")
    monkeypatch.setattr(file_store, "LIMIT_CHARACTERS", 10)
    for _ in range(2):
        view = await tab.arrive("ada", "ada", [documents.keep("ada", CONTRACT).id], ENGLISH)
        assert "more than 10 characters" in view.told
        assert view.collections == ["empty"]
    outcome = json.dumps([{"id": documents.keep("ada", CONTRACT).id}])
    assert (await tab.add("ada", "ada", "empty", outcome, ENGLISH)).collections == ["empty"]


async def test_nobodys_files_are_not_kept(knowledge: KnowledgeBase) -> None:
    documents = DocumentStore()
    outcome = json.dumps([{"id": documents.keep("", CONTRACT).id}])
    view = await CollectionActions(knowledge, documents).add("", "", "work", outcome, ENGLISH)
    assert "cookies" in view.told


@pytest.mark.parametrize("outcome", ["", "{", "{}", "[1]", "[" * 30_000, '"x"'])
def test_what_else_a_browser_sends_is_no_file(outcome: str) -> None:
    assert picked_files(outcome) == []


def test_footnotes_within_code_are_code() -> None:
    assert "a[1]" in answer_text("Take `a[1]` [1].\n```python\nb[1]\n```", 1)
    assert answer_text("Take `a[1]` [1].", 1).count("<sup") == 1
    passages = [FoundPassage(number, "a.txt", "[page 1]", "a.txt", "Text") for number in (1, 2)]
    assert sources_html(passages, "Take `a[2]` [1].", ENGLISH).count('class="source cited"') == 1


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        ("It is so [1].", "It is so¹."),
        ("It is so. [1]", "It is so.¹"),
        ("是这样 [1][2]。", "是这样¹²。"),
        ("- [1] says so", "- ¹ says so"),
        ("2. [1] says so", "2. ¹ says so"),
        ("[1] says so", "¹ says so"),
    ],
)
def test_no_line_begins_with_a_footnote_unless_it_was_meant_to(text: str, drawn: str) -> None:
    marks = {f'{WORD_JOINER}<sup title="[{number}]">[{number}]</sup>': mark for number, mark in ((1, "¹"), (2, "²"))}
    shown = answer_text(text, 2)
    for html, mark in marks.items():
        shown = shown.replace(html, mark)
    assert shown == drawn
