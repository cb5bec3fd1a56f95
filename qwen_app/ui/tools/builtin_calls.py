"""Calls of the built-in tools: a table of the visitor's and how it gets here, the search in his files, and the rest."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial

from qwen_app.agent_loop import Implementation
from qwen_app.knowledge.file_search import SEARCH_FILES, FileSearch
from qwen_app.knowledge.knowledge_base import KnowledgeBase
from qwen_app.messages import Tool, ToolCall
from qwen_app.sandbox.checks import checks
from qwen_app.tools.builtin import LOOKUP
from qwen_app.ui.tools.definitions import with_tools
from qwen_app.ui.tools.session import ToolSession
from qwen_app.uploads.table_store import LIMIT_BYTES, TOO_LARGE, UPLOAD_PATH, TableStore

# Lets the visitor pick a file in the browser, sends it, and hands on what became of it in place of the first value: a
# file never passes through Gradio, which would make a file of it here. The path is relative, for the page may lie below
# another one.
PICK_TABLE = (
    """async (...values) => {
  const upload = async (file) => {
    if (file.size > LIMIT_BYTES) return { problem: "TOO_LARGE" };
    try {
      const headers = { "content-type": "text/csv", "x-file-name": encodeURIComponent(file.name) };
      const response = await fetch("UPLOAD_PATH", { method: "POST", body: file, headers });
      const { id, detail } = await response.json();
      return id ? { id } : { problem: String(detail || "") };
    } catch {
      return { problem: "" };
    }
  };
  const [file] = await pickFiles({ accept: ".csv" });
  return [JSON.stringify(await upload(file)), ...values.slice(1)];
}""".replace("UPLOAD_PATH", UPLOAD_PATH.removeprefix("/"))
    .replace("LIMIT_BYTES", str(LIMIT_BYTES))
    .replace("TOO_LARGE", TOO_LARGE)
)
LIMIT_OUTCOME_CHARS = 2_000
BROKE_OFF = "The upload broke off. Try again."
NO_TABLE = '{"error": "The table is kept no longer. Ask for it to be uploaded again."}'


class BuiltinCalls:
    """Runs them, on the tables in ``tables`` and the files in ``knowledge``."""

    def __init__(self, tables: TableStore, knowledge: KnowledgeBase) -> None:
        self._tables = tables
        self._files = FileSearch(knowledge)

    def take(self, session: ToolSession, outcome: str, user: str, definitions: str) -> str:
        """``upload`` of what PICK_TABLE hands on, which also may be why there is no table: a ValueError too."""
        table_id, problem = _picked(outcome)
        if not table_id:
            raise ValueError(problem)
        return self.upload(session, table_id, user, definitions)

    def upload(self, session: ToolSession, table_id: str, user: str, definitions: str) -> str:
        """The definitions with a lookup in the new table; its columns are in the definition, so an older one goes.

        Raises ValueError with a sentence for people when ``user`` has no such table.
        """
        table = self._tables.info(user, table_id)
        if table is None:
            raise ValueError("The file was not kept. Upload it again.")
        if session.table is not None and session.table != table:
            self._tables.drop(session.table)
        session.table = table
        lookup = {LOOKUP: session.builtin()[LOOKUP]}
        return with_tools(with_tools(definitions, {}, lookup), lookup, lookup)

    def implementations(
        self, session: ToolSession, user: str, files_of: str, context_tokens: int
    ) -> dict[str, Implementation]:
        """What runs the calls, by the tools' names. ``files_of`` is whose files may be searched, empty: nobody's."""

        async def search(call: ToolCall) -> str:
            return await self._files.call(files_of, call, context_tokens)

        return {**dict.fromkeys(session.builtin(), partial(self._call, session, user)), SEARCH_FILES: search}

    async def _call(self, session: ToolSession, user: str, call: ToolCall) -> str:
        """The result of a tool that is run where it can be killed."""
        table: bytes | None = b""
        if call.name == LOOKUP:
            table = None if session.table is None else self._tables.data(session.table)
        if table is None:
            return NO_TABLE
        return await checks().call_tool(call, table, user=user)


def first_tools(known: Mapping[str, Tool]) -> dict[str, Tool]:
    """Those that the page offers at first: not everybody has files."""
    return {name: tool for name, tool in known.items() if name != SEARCH_FILES}


def _picked(outcome: str) -> tuple[str, str]:
    """The id of a table, or why there is none."""
    try:
        told = json.loads(outcome[:LIMIT_OUTCOME_CHARS])
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        return "", BROKE_OFF
    table_id = str(told.get("id") or "")
    return table_id, "" if table_id else str(told.get("problem") or BROKE_OFF)
