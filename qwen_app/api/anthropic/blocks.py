"""Blocks of Anthropic's messages as the engine's messages: text, calls and their results.

Thoughts of other models, and calls that other servers made and answered themselves, are left out: they are no part of
what this model said or was told.
"""

from __future__ import annotations

import json
from collections.abc import Sequence, Set
from dataclasses import dataclass

from qwen_app.api.anthropic.message_request import BlockSource, ContentBlock, ResultBlock
from qwen_app.errors import RequestError
from qwen_app.messages import Message, ToolCall

THOUGHTS = ("thinking", "redacted_thinking")
OF_SERVERS = ("server_tool_use", "mcp_tool_use")  # and their results, whose types end alike
RESULT_SUFFIX = "_tool_result"
IMAGES = "This model reads text only, not images. Leave the image out, or describe it in words."


@dataclass(frozen=True, slots=True)
class PathBlock:
    """A block and where it stands in the body."""

    block: ContentBlock
    path: str


def blocks_of(content: str | Sequence[ResultBlock], path: str) -> list[PathBlock]:
    """The blocks of ``content`` that say something; a string is one of text."""
    if isinstance(content, str):
        return [PathBlock(ContentBlock(type="text", text=content), path)]
    placed = [
        PathBlock(block if isinstance(block, ContentBlock) else _as_content(block), f"{path}[{index}]")
        for index, block in enumerate(content)
    ]
    return [one for one in placed if not _says_nothing(one.block.type)]


def _as_content(block: ResultBlock) -> ContentBlock:
    return ContentBlock.model_construct(**dict(block))


def _says_nothing(kind: str) -> bool:
    return kind in THOUGHTS or kind in OF_SERVERS or kind.endswith(RESULT_SUFFIX)


def text_of_blocks(blocks: Sequence[PathBlock], between: str = "\n") -> str:
    """The text of ``blocks``. Raises RequestError for one that this model cannot read."""
    return between.join(_text(placed.block, placed.path) for placed in blocks)


def assistant_message(blocks: Sequence[PathBlock]) -> Message:
    """What the model said, and the calls it made."""
    calls = tuple(_call(placed) for placed in blocks if placed.block.type == "tool_use")
    return Message("assistant", text_of_blocks([one for one in blocks if one.block.type != "tool_use"]), calls)


def _call(placed: PathBlock) -> ToolCall:
    block = placed.block
    if block.id is None or block.name is None:
        missing = "id" if block.id is None else "name"
        raise RequestError("A tool_use block needs its id and name.", param=f"{placed.path}.{missing}")
    return ToolCall(block.id, block.name, json.dumps(block.input or {}, ensure_ascii=False))


def user_messages(blocks: Sequence[PathBlock], calls: Sequence[ToolCall]) -> list[Message]:
    """The results of ``calls``, which the assistant's message before made, then what the user says.

    Raises RequestError for a result of no such call, for two of one call, and for a round that is partly answered.
    """
    results: dict[str, Message] = {}
    made = {call.id for call in calls}
    for placed in blocks:
        if placed.block.type == "tool_result":
            _add_result(results, placed, made)
    missing = [call.id for call in calls if call.id not in results]
    if results and missing:
        raise RequestError(f"The tool_use {missing[0]!r} has no tool_result. Send one for each.", param=blocks[0].path)
    others = [placed for placed in blocks if placed.block.type != "tool_result"]
    return [
        *results.values(),
        *([Message("user", text_of_blocks(others))] if others or not results else []),
    ]


def _add_result(results: dict[str, Message], placed: PathBlock, made: Set[str]) -> None:
    """``made`` are the ids of the calls that may have a result."""
    call_id = placed.block.tool_use_id or ""
    param = f"{placed.path}.tool_use_id"
    if call_id not in made:
        raise RequestError(f"The assistant's message before this result made no tool_use {call_id!r}.", param=param)
    if call_id in results:
        raise RequestError(f"The tool_use {call_id!r} has two results. Send one for each.", param=param)
    results[call_id] = Message("tool", _result_text(placed), tool_call_id=call_id)


def _result_text(placed: PathBlock) -> str:
    """What the tool said. The model is told by a word that it failed, since a template has no place for it."""
    text = text_of_blocks(blocks_of(placed.block.content or "", f"{placed.path}.content"))
    failed = placed.block.is_error and not text.lower().startswith("error")
    return f"Error: {text}" if failed else text


def _text(block: ResultBlock, path: str) -> str:
    if block.type == "text":
        if block.text is None:
            raise RequestError("A text block needs its text.", param=f"{path}.text")
        return block.text
    if block.type == "image":
        raise RequestError(IMAGES, param=path)
    if block.type == "document":
        return _lines(block.title, block.context, _document_text(block.source, path))
    if block.type == "search_result":
        source = block.source if isinstance(block.source, str) else None
        return _lines(block.title, source, _inner_text(block.content, f"{path}.content"))
    if block.type == "tool_reference" and block.tool_name is not None:
        return block.tool_name
    raise RequestError(f"This model reads text only, not blocks of type '{block.type}'.", param=f"{path}.type")


def _document_text(source: str | BlockSource | None, path: str) -> str:
    if isinstance(source, BlockSource) and source.type == "text" and source.data is not None:
        return source.data
    if isinstance(source, BlockSource) and source.type == "content":
        return _inner_text(source.content, f"{path}.source.content")
    raise RequestError(
        "This model reads text only. Send the document as text: a source of type 'text'.", param=f"{path}.source"
    )


def _inner_text(content: str | Sequence[ResultBlock] | None, path: str) -> str:
    return text_of_blocks(blocks_of(content or "", path))


def _lines(*parts: str | None) -> str:
    return "\n".join(part for part in parts if part)
