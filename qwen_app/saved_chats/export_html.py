"""A chat as one HTML page that needs nothing else: no script, no picture, no font; everything said in it is escaped."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from html import escape

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

from qwen_app.saved_chats.export_facts import Words, words_of
from qwen_app.saved_chats.values import SavedMessage

DRAWN_CHARS = 300_000  # of a chat, the newest messages first
DRAWN_TOKENS = 40_000  # and lines of markdown: ten microseconds each, and a few letters may be a hundred of them
_ONLY_THE_END = "Only the end of this chat is shown, for it is too long. 对话过长，仅显示结尾部分。"
_ROOM = "room"
_BOLD = re.compile(r"\*\*(?=\S)([^*\n]+?)(?<=\S)\*\*")
_STYLE = """
:root { color-scheme: light dark; --ink: #18181b; --soft: #6b6b74; --line: #e4e4e7; --mine: #eef2ff; --paper: #fff; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #ececee; --soft: #a1a1aa; --line: #2e2e33; --mine: #26264a; --paper: #111113; }
}
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.6 ui-sans-serif, system-ui, sans-serif; }
main { max-width: 760px; margin: 0 auto; padding: 32px 20px 64px; }
h1 { font-size: 24px; line-height: 1.3; margin: 0 0 4px; overflow-wrap: anywhere; }
p.about { color: var(--soft); font-size: 13.5px; margin: 0 0 28px; }
article { margin: 0 0 20px; }
article > div { overflow-wrap: anywhere; }
article > div.plain { white-space: pre-wrap; }
h1, article > div.plain, .drawn :is(p, li, th, td) { unicode-bidi: plaintext; text-align: start; }
.drawn > :first-child { margin-top: 0; }
.drawn :is(h1, h2, h3, h4) { font-size: 1.15em; line-height: 1.4; margin: 1.4em 0 0.4em; }
.drawn h1 { font-size: 1.35em; }
.drawn :is(p, ul, ol, blockquote, pre, .table) { margin: 0.7em 0; }
.drawn li > p { margin: 0.2em 0; }
blockquote { border-left: 3px solid var(--line); padding-left: 14px; color: var(--soft); }
.table { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.94em; }
th, td { border: 1px solid var(--line); padding: 6px 12px; overflow-wrap: normal; }
article.user > div { background: var(--mine); border-radius: 16px; padding: 10px 16px; margin-left: 12%; }
article.user { display: flex; justify-content: flex-end; }
ul.documents { margin: 6px 0 0; padding-left: 18px; color: var(--soft); font-size: 12.5px; white-space: normal; }
footer { color: var(--soft); font-size: 12.5px; margin-top: 4px; }
pre { white-space: pre; overflow-x: auto; border: 1px solid var(--line); border-radius: 10px; padding: 12px 14px; }
code { font: 0.9em ui-monospace, Menlo, Consolas, monospace; }
"""


class _TooCostly(Exception):
    """Drawing a text would take more than is left."""


@dataclass(slots=True)
class _Room:
    """What may still be drawn of a page. Its messages come newest first, and once one does not fit, none does."""

    chars: int = DRAWN_CHARS
    tokens: int = DRAWN_TOKENS

    def drawn(self, text: str) -> str:
        """``text`` as HTML: as markdown while there is room, else as it was written."""
        self.chars -= len(text)
        self.tokens -= text.count("\n")
        if self.chars >= 0:
            with suppress(_TooCostly):
                rendered: str = _MARKDOWN.render(text, {_ROOM: self})
                return rendered
        self.chars = -1
        return escape(text)


class _Tokens(list[Token]):
    """Each takes its place of the page's."""

    def __init__(self, room: _Room) -> None:
        super().__init__()
        self._room = room

    def append(self, token: Token) -> None:
        self._room.tokens -= 1
        if self._room.tokens < 0:
            raise _TooCostly
        super().append(token)


def chat_html(title: str, messages: Sequence[SavedMessage], *, limit_chars: int | None = None) -> str:
    """The page: the title, when it was made (UTC), and the messages with what is known of each answer.

    With ``limit_chars`` it has no more than the newest messages that so many characters of HTML hold, and says so.
    """
    made = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    about = f'<p class="about">{made} · AI answers may be wrong. 人工智能生成的回答可能有误。</p>'
    articles: list[str] = []
    room, words, written = _Room(), words_of(messages), 0
    for message in reversed(messages):
        article = _article(message, room, words)
        written += len(article)
        if limit_chars is not None and written > limit_chars:
            about += f'\n<p class="about">{_ONLY_THE_END}</p>'
            break
        articles.append(article)
    return _page(title, "\n".join([f"<h1>{escape(title)}</h1>", about, *reversed(articles)]))


def plain_page(sentence: str) -> str:
    """A page that says one thing."""
    return _page(sentence, f"<h1>{escape(sentence)}</h1>")


def _page(title: str, body: str) -> str:
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    return (
        f'<!doctype html>\n<html lang="mul"><head>{head}<title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head>\n<body><main>\n{body}\n</main></body></html>\n"
    )


def _article(message: SavedMessage, room: _Room, words: Words) -> str:
    known = words.facts(message)
    footer = f"<footer>{escape(known)}</footer>" if known else ""
    text = escape(message.content) if message.role == "user" else room.drawn(message.content)
    lines = "".join(f"<li>{escape(line)}</li>" for line in words.documents(message))
    documents = f'<ul class="documents">{lines}</ul>' if lines else ""
    drawn = "drawn" if text.startswith("<") else "plain"
    return f'<article class="{message.role}"><div class="{drawn}">{text}{documents}</div>{footer}</article>'


def _blocks(state: StateCore) -> None:
    state.tokens = _Tokens(state.env[_ROOM])
    state.md.block.parse(state.src, state.md, state.env, state.tokens)


def _inlines(state: StateCore) -> None:
    for token in state.tokens:
        if token.type == "inline":
            within = _Tokens(state.env[_ROOM])
            token.children = state.md.inline.parse(token.content, state.md, state.env, within)


def _text(self: RendererHTML, tokens: Sequence[Token], place: int, options: OptionsDict, env: EnvType) -> str:
    """Bold beside full-width punctuation, which CommonMark does not take for bold, is bold all the same."""
    return _BOLD.sub(r"<strong>\1</strong>", escape(tokens[place].content))


def _table(self: RendererHTML, tokens: Sequence[Token], place: int, options: OptionsDict, env: EnvType) -> str:
    """A wide table scrolls by itself."""
    return '<div class="table"><table>' if tokens[place].nesting > 0 else "</table></div>"


def _reader() -> MarkdownIt:
    """CommonMark and tables, without what leads or loads elsewhere. Backslashes stay, for formulas have them."""
    reader = MarkdownIt("commonmark", {"html": False, "breaks": True}).enable("table")
    reader.disable(["image", "link", "autolink", "reference", "escape"])
    reader.core.ruler.at("block", _blocks)
    reader.core.ruler.at("inline", _inlines)
    reader.add_render_rule("text", _text)
    reader.add_render_rule("table_open", _table)
    reader.add_render_rule("table_close", _table)
    return reader


_MARKDOWN = _reader()
