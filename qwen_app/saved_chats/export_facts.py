"""What an export says of its own about a chat's messages: the documents sent with them, how the answers came about."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from qwen_app.saved_chats.values import SavedMessage, SavedRole

DOCUMENTS = "documents"  # in a question's settings
PAGED = ("page", "slide")
HASH_CHARS = 16
_TOLD_CHARS = 2000  # of a message, which tell its language
_HAN = re.compile("[\u4e00-\u9fff]")
_LATIN_WORD = re.compile("[A-Za-z\u00c0-\u024f]+")


@dataclass(frozen=True, slots=True)
class SentDocument:
    """A document that was sent with a question: what it was, not what it says.

    ``chosen`` are the pages that were sent, empty where all were; ``pages`` is how many there are, 0 where the file has
    none; ``sha256`` begins the digest of the text that was sent.
    """

    name: str
    chosen: str
    pages: int
    tokens: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Words:
    """One language's; ``reasons`` are why an answer ended, where that is more than that it was whole."""

    speakers: Mapping[SavedRole, str]
    seconds: str
    token: str
    tokens: str
    seed: str
    page: str
    pages: str
    chosen: str
    reasons: Mapping[str, str]

    def facts(self, message: SavedMessage) -> str:
        """What is known of how an answer came about, in a line; empty where nothing is."""
        run = message.run
        seconds, tokens, reason = run.get("total_s"), run.get("completion_tokens"), run.get("reason")
        found = [self.seconds.format(seconds) if isinstance(seconds, float) and seconds else ""]
        found.append(self._tokens(tokens) if isinstance(tokens, int) and tokens else "")
        found.append(self.seed.format(run["seed"]) if run.get("seed") is not None else "")
        found.append(self.reasons.get(reason, reason) if isinstance(reason, str) and reason != "stop" else "")
        return " · ".join(filter(None, found))

    def documents(self, message: SavedMessage) -> list[str]:
        """A line for each: ``book.pdf · 100 pages · 3,623 tokens · sha256 0f3c…``."""
        return [self._line(one) for one in sent_documents(message)]

    def _line(self, one: SentDocument) -> str:
        pages = (self.page if one.pages == 1 else self.pages).format(one.pages) if one.pages else ""
        said = self.chosen.format(one.chosen) if one.chosen else pages
        return " · ".join(filter(None, (one.name, said, self._tokens(one.tokens), f"sha256 {one.sha256}…")))

    def _tokens(self, count: int) -> str:
        return (self.token if count == 1 else self.tokens).format(count)


ENGLISH = Words(
    {"user": "User", "assistant": "Assistant"},
    *("{:.1f} s", "{:,} token", "{:,} tokens", "seed {}"),
    *("{:,} page", "{:,} pages", "pages {}"),
    {
        "length": "cut off at its longest length",
        "tool_calls": "tool call",
        "cancelled": "stopped",
        "deadline": "out of time",
        "failed": "failed",
        "interrupted": "interrupted by a restart",
        "unwatched": "stopped: nobody was looking on",
    },
)
CHINESE = Words(
    {"user": "用户", "assistant": "助手"},
    *("{:.1f} 秒", "{:,} 个词元", "{:,} 个词元", "种子 {}"),
    *("{:,} 页", "{:,} 页", "第 {} 页"),
    {
        "length": "达到最长回答后截断",
        "tool_calls": "工具调用",
        "cancelled": "已停止",
        "deadline": "超时结束",
        "failed": "失败",
        "interrupted": "因服务器重启而中断",
        "unwatched": "无人查看，已停止",
    },
)


def words_of(messages: Sequence[SavedMessage]) -> Words:
    """The language that the chat's questions are asked in; of answers alone, theirs."""
    asked = [message for message in messages if message.role == "user"] or messages
    said = "\n".join(message.content[:_TOLD_CHARS] for message in asked)
    return CHINESE if len(_HAN.findall(said)) > len(_LATIN_WORD.findall(said)) else ENGLISH


def sent_documents(message: SavedMessage) -> list[SentDocument]:
    """Those of a question. What is saved may be an import's, and anything: what is no document is left out."""
    return [_described(one, document) for one, document in _documents(message)]


def _documents(message: SavedMessage) -> Iterator[tuple[dict[str, object], dict[str, object]]]:
    saved = message.settings.get(DOCUMENTS)
    for one in saved if isinstance(saved, list) else []:
        document = one.get("document") if isinstance(one, dict) else None
        if isinstance(document, dict) and isinstance(document.get("name"), str):
            yield one, document


def _described(one: dict[str, object], document: dict[str, object]) -> SentDocument:
    saved = document.get("sections")
    sections = [section for section in saved if isinstance(section, dict)] if isinstance(saved, list) else []
    text = "\n".join(str(section.get("text", "")) for section in sections)
    numbers = [section.get("last") for section in sections if section.get("kind") in PAGED]
    pages = max((number for number in numbers if isinstance(number, int)), default=0)
    tokens = one.get("tokens")
    digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:HASH_CHARS]
    chosen = str(one.get("pages") or "")
    return SentDocument(str(document["name"]), chosen, pages, tokens if isinstance(tokens, int) else 0, digest)
