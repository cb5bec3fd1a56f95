"""The search as a tool that a model calls: passages by number, as many as there is room for."""

from __future__ import annotations

import json

from qwen_app.knowledge.knowledge_base import KnowledgeBase
from qwen_app.knowledge.search import FoundPassage
from qwen_app.messages import Tool, ToolCall

SEARCH_FILES = "search_files"
CONTEXT_SHARE = 4  # at most this part of the context in characters, which are never fewer than tokens by much
FEWEST_CHARACTERS = 400
LIMIT_QUERY_CHARACTERS = 4_000
NOTHING = "No passage of the files matches. Say that it is not in the files, or search with other words."


def search_definition() -> Tool:
    """The tool as models see it."""
    parameters: dict[str, object] = {
        "type": "object",
        "properties": {
            "query": {"type": "string", "description": "what is looked for, in the words of the files"},
            "collection": {
                "type": "string",
                "description": "the collection to search; may be left out if there is one",
            },
        },
        "required": ["query"],
        "additionalProperties": False,
    }
    return Tool(SEARCH_FILES, "Search the user's files. Cite what you use by its number, such as [1].", parameters)


class FileSearch:
    """Runs calls of the tool on an owner's collections, and on nobody else's."""

    def __init__(self, knowledge: KnowledgeBase) -> None:
        self._knowledge = knowledge

    async def call(self, owner: str, call: ToolCall, context_tokens: int) -> str:
        """The result as JSON text: passages with number, file and place, or what to do. Raises AppError."""
        arguments = json.loads(call.arguments)
        query = str(arguments.get("query") or "").strip()[:LIMIT_QUERY_CHARACTERS]
        ids = {one.name: one.id for one in await self._knowledge.described(owner)} if owner else {}
        names = sorted(ids)
        wanted = " ".join(str(arguments.get("collection") or "").split()) or (names[0] if len(names) == 1 else "")
        if not names:
            return _told("The user has no files. They are added in the Files tab.")
        if wanted not in names:
            return _told(f"Name one of these collections: {', '.join(names)}.")
        if not query:
            return _told("Say what is looked for in query.")
        found = (await self._knowledge.find(owner, ids[wanted], query)).passages
        if not found:
            return json.dumps({"passages": [], "note": NOTHING})
        return json.dumps({"passages": _within(found, context_tokens // CONTEXT_SHARE)}, ensure_ascii=False)


def _within(found: tuple[FoundPassage, ...], characters: int) -> list[dict[str, object]]:
    """The best of them that fit; the first in any case, cut where it is too long."""
    passages: list[dict[str, object]] = []
    left = max(characters, FEWEST_CHARACTERS)
    for number, one in enumerate(found, 1):
        text = one.text.strip()
        if passages and len(text) > left:
            break
        passages.append({"number": number, "file": one.file, "place": one.place.strip("[]"), "text": text[:left]})
        left -= len(text)
    return passages


def _told(sentence: str) -> str:
    return json.dumps({"error": sentence}, ensure_ascii=False)
