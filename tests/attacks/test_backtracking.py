"""No pattern of ours goes back over a visitor's text: its cost grows with the text's length, and no faster.

The interpreter is held while a pattern is matched, so that one message that takes seconds stops everybody. The class
is CWE-1333; peers had it in the parsers of model output and in chat exports.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from qwen_app.documents.document import Document, Section
from qwen_app.documents.readers.plain_text import read_markdown
from qwen_app.knowledge.citing import with_footnotes
from qwen_app.knowledge.passages import passages_of
from qwen_app.knowledge.query_terms import terms_of
from qwen_app.saved_chats.export_html import chat_html
from qwen_app.saved_chats.values import SavedMessage
from qwen_app.scenarios.checks import all_values, names_without, refusal, value_in_unit
from qwen_app.scenarios.values import TaskAnswer
from qwen_app.searched_text.folding import folded
from qwen_app.text_files.delimited import delimited
from qwen_app.tools.parser import ToolCallParser
from qwen_app.ui.conversations.titles import title_in
from qwen_app.ui.files.view import answer_text
from qwen_app.ui.markdown.answer import answer_markdown
from qwen_app.ui.markdown.typed import typed_html
from qwen_app.ui.shared.render import verbatim
from tests.attacks.pumped import Reading, Sized, cost_grows, growing_runs, repeated, texts_for

PACKAGE = Path(__file__).resolve().parents[2] / "qwen_app"
METHODS = {"search", "match", "fullmatch", "sub", "subn", "findall", "finditer", "split"}
PATTERN_SLOW_S = 0.0015  # for 2,000 characters; linear ones take a tenth of it
FUNCTION_SLOW_S = 0.004

# Patterns that are put together as the program runs, with why they are harmless.
COMPUTED = {
    "api/unmatched.py": "routes of FastAPI's, against a path that the server's limits bound",
    "chat/guard.py": "lists of the tokenizer's and the template's own words, no repeats",
    "chat/splices.py": "a list of the template's own words, and nothing after it that could fail",
    "documents/cutting.py": "looked for in a window of 1,200 characters",
    "engine/remote/connection/upstream_errors.py": "wordings of error messages, of a server that the owner names",
    "knowledge/query_terms.py": "a set of letters, repeated alone",
    "knowledge/search.py": "one escaped word, a set of letters and a short list of endings",
    "performance/cards.py": "names of graphics cards",
    "performance/published.py": "names of models",
    "scenarios/checks.py": "tried below by what calls them",
    "searched_text/compounds.py": "letters between signs, none given back; its own test measures them",
    "text_files/code_pages.py": "sets of letters, no repeats",
    "text_files/delimited.py": "tried below by what calls it",
    "ui/shared/strings.py": "sentences of ours with gaps, against at most 2,000 characters",
    "web/no_files.py": "literal letters, each in two spellings",
}


@dataclass(frozen=True)
class Found:
    """A pattern in the source. ``method`` is how it is matched."""

    place: str
    pattern: str | bytes
    flags: int
    method: str


def calls_of_re(tree: ast.AST) -> Iterator[tuple[ast.Call, str]]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or not node.args:
            continue
        if ast.unparse(node.func.value) == "re" and node.func.attr in METHODS | {"compile"}:
            yield node, node.func.attr


def found() -> Iterator[Found]:
    for path in sorted(PACKAGE.rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        for call, method in calls_of_re(ast.parse(source)):
            if isinstance(call.args[0], ast.Constant):
                flags = sum(int(getattr(re, name)) for name in re.findall(r"\bre\.([A-Z]+)\b", ast.unparse(call)))
                used = _method_of(source, call) if method == "compile" else method
                place = f"{path.relative_to(PACKAGE)}:{call.lineno}"
                pattern = call.args[0].value
                assert isinstance(pattern, str | bytes)
                yield Found(place, pattern, flags, used)


def _method_of(source: str, call: ast.Call) -> str:
    """How what is compiled there is used: ``search`` unless all its uses are bound to the text's beginning."""
    named = re.match(r"\s*(\w+)\s*(?::[^=]*)?=", source.splitlines()[call.lineno - 1])
    uses = set(re.findall(rf"\b{named[1]}\.(\w+)\(", source)) & METHODS if named else set()
    return min(uses) if uses and uses <= {"match", "fullmatch"} else "search"


def reading(one: Found) -> Reading:
    compiled = re.compile(one.pattern, one.flags)
    bound = {"match": compiled.match, "fullmatch": compiled.fullmatch}.get(one.method)

    def reads(text: str) -> object:
        asked = text.encode() if isinstance(one.pattern, bytes) else text
        return bound(asked) if bound else list(compiled.finditer(asked))

    return reads


@pytest.mark.parametrize("one", list(found()), ids=lambda one: one.place)
def test_no_pattern_of_ours_costs_more_than_its_text(one: Found) -> None:
    pattern = one.pattern.decode() if isinstance(one.pattern, bytes) else one.pattern
    reads = reading(one)
    for text in texts_for(pattern):
        assert not cost_grows(reads, text, PATTERN_SLOW_S), text(30)


def test_patterns_that_are_put_together_are_known() -> None:
    made = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        for call, _ in calls_of_re(ast.parse(path.read_text(encoding="utf-8")))
        if not isinstance(call.args[0], ast.Constant)
    }
    assert made == set(COMPUTED)


def exported(text: str) -> object:
    return chat_html(text[:100], [SavedMessage("a", None, "assistant", text)])


def tool_calls(text: str) -> object:
    parser = ToolCallParser([])
    return [*parser.feed(text), *parser.finish()]


READERS: dict[str, Callable[[str], object]] = {
    "a table": delimited,
    "a text that is searched": folded,
    "an answer": answer_markdown,
    "an answer with footnotes": lambda text: answer_text(text, 6),
    "an export": exported,
    "an answer in JSON mode": lambda text: verbatim(text, "json"),
    "a question": lambda text: typed_html(text, "show all"),
    "a title": title_in,
    "citations": lambda text: with_footnotes(text, 6),
    "passages": lambda text: passages_of(Document("a.txt", "txt", (Section("lines", 1, 1, text),))),
    "a search": terms_of,
    "Markdown": read_markdown,
    "tool calls": tool_calls,
    "a number with its unit": lambda text: value_in_unit(TaskAnswer(text), 5.0, ("km", "公里")),
    "a refusal": lambda text: refusal(TaskAnswer(text)),
    "a name": lambda text: names_without(TaskAnswer(text), ("Ada",), {}),
    "values": lambda text: all_values(TaskAnswer(text), (("a",), ("1",))),
}
WORDS = [
    *"`~$*[(<\n #|\\1a中",
    *("``` ", "~~~\n", "$$ ", "$$\n", "$$a", "\\[ ", "\\( ", "\\[", "\\(", "**a ", "```mermaid", "![](", "`a", "``a`"),
    *("[1,", "[1, ", "# a\n", " \n", "\n\n", '{"name"', "<tool_call>", "</tool_call>", "【1", "`$$ ", "<a ", "<!--"),
]
BEGINNINGS = ("", "# a", "$$", "```", "**", "[1", "\\[", '{"name": "', "<tool_call>")


def long_texts() -> Iterator[Sized]:
    yield from (repeated(beginning, word, "x") for beginning in BEGINNINGS for word in WORDS)
    yield from (growing_runs(letter) for letter in "`~$*[#")


@pytest.mark.slow
@pytest.mark.parametrize("what", READERS)
def test_reading_a_long_text_costs_its_length(what: str) -> None:
    for text in long_texts():
        assert not cost_grows(READERS[what], text, FUNCTION_SLOW_S), text(30)
