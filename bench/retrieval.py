"""Whether the knowledge base finds the passage that answers: ``python -m bench.retrieval [--embeddings-url URL]``.

Twenty notes of ours, ten in English and ten in Chinese, and two questions to each, one with its words and one without;
recall@5 is the share of questions whose note is among the first five passages. With an embedding server the same is
asked with vectors, and the difference is what these add. Questions about what no note holds must find nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.report import Report
from bench.retrieval_notes import ABSENT, NOTES, Note
from qwen_app.documents.document import Document, Section
from qwen_app.knowledge.embeddings import Embedder
from qwen_app.knowledge.knowledge_base import KnowledgeBase, knowledge_in_memory

OWNER, COLLECTION, FIRST = "bench", "notes", 5


@dataclass(frozen=True, slots=True)
class Recall:
    """Of ``asked`` questions, how many found their note among the first five, and how many found it first."""

    asked: int
    found: int
    first: int


async def filled(embedder: Embedder | None = None) -> KnowledgeBase:
    """A knowledge base with all notes, each a file."""
    base = knowledge_in_memory(embedder)
    collection = await base.create(OWNER, COLLECTION)
    for note in NOTES:
        await base.add(OWNER, collection, Document(note.name, "txt", (Section("lines", 1, 1, note.text),)))
    return base


async def recall(base: KnowledgeBase, notes: Sequence[Note], *, in_its_words: bool) -> Recall:
    """Of the questions to ``notes``, those with the words of their note or those without."""
    collection, places = await base.create(OWNER, COLLECTION), []
    for note in notes:
        question = note.in_its_words if in_its_words else note.otherwise
        found = [one.file for one in (await base.find(OWNER, collection, question, FIRST)).passages]
        places.append(found.index(note.name) if note.name in found else FIRST)
    return Recall(len(places), sum(place < FIRST for place in places), places.count(0))


async def silent(base: KnowledgeBase) -> int:
    """How many of the questions about what is not there find nothing."""
    collection = await base.create(OWNER, COLLECTION)
    return sum([not (await base.find(OWNER, collection, question)).passages for question in ABSENT])


async def _measure(report: Report, way: str, embedder: Embedder | None) -> None:
    base = await filled(embedder)
    for language in ("en", "zh"):
        notes = [note for note in NOTES if note.language == language]
        for in_its_words, kind in ((True, "in its words"), (False, "in other words")):
            one = await recall(base, notes, in_its_words=in_its_words)
            report.add(f"recall@5, {language}, {kind}", way, one.found / one.asked, "of 1")
            report.add(f"first, {language}, {kind}", way, one.first / one.asked, "of 1")
    report.add("nothing found where nothing is", way, await silent(base) / len(ABSENT), "of 1")


def main() -> int:
    parser = argparse.ArgumentParser("python -m bench.retrieval", description=__doc__)
    parser.add_argument("--embeddings-url", default="", help="an API with /embeddings, such as http://host:8000/v1")
    parser.add_argument("--embeddings-key", default="")
    parser.add_argument("--embeddings-model", default="")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    asked = parser.parse_args()
    report = Report("The knowledge base on a bilingual question set")
    asyncio.run(_measure(report, "words", None))
    if asked.embeddings_url:
        embedder = Embedder(asked.embeddings_url, asked.embeddings_key, asked.embeddings_model)
        asyncio.run(_measure(report, "words and vectors", embedder))
    report.finish(asked.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
