"""From the format asked for to the text llguidance compiles. A refusal is a SchemaError that says what and where."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from fractions import Fraction

from llguidance import LLMatcher, LLParserLimits

from qwen_app.errors import SchemaError
from qwen_app.messages import GrammarSpec, JsonObject, JsonSchema, Regex, StringChoice
from qwen_app.structured.closing.minimal_instance import (
    max_forced_text,
    minimal_instance,
    number_steps,
    open_ended,
    string_completions,
)
from qwen_app.structured.closing.minimal_match import minimal_match
from qwen_app.structured.endless import check_finite
from qwen_app.structured.grammars.exactness import allowed_escapes, check_distinct, narrowed
from qwen_app.structured.grammars.loosening import Loosening
from qwen_app.structured.json_text import StringTracker
from qwen_app.structured.schema_check import Schema, check_numbers, check_schema, locate
from qwen_app.structured.validation import check_against_draft
from qwen_app.structured.vocabulary import Vocabulary

# As Qwen writes JSON. Blanks elsewhere are legal JSON too, but a model that wanted other text writes them to the end of
# its budget; and where nothing but these may come, keys and what surrounds them need not be asked of the model.
SEPARATORS = {"item_separator": ", ", "key_separator": ": ", "whitespace_flexible": False}

REGEX_PROBLEM = re.compile(r"regex parse error:\n.*?\nerror: ([^\n]+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class GrammarSource:
    """``text`` is what llguidance compiles; the rest is what closing an answer early needs to know of it.

    ``exact`` is False where a schema is enforced leniently and the finished answer must be checked.
    ``minimal_instance`` may be a small answer. ``max_forced_text`` is about the most text that one token can force an
    answer to go on with, None where that is not known. ``string_completions`` are how strings may end that a pattern
    holds open, ``number_steps`` what numbers may have to be multiples of. ``json_from`` is the text at which JSON
    starts, None for a grammar without JSON.
    """

    text: str
    schema: Schema | None = None
    exact: bool = True
    minimal_instance: bytes | None = None
    max_forced_text: bytes | None = None
    string_completions: tuple[bytes, ...] = ()
    number_steps: tuple[Fraction, ...] = ()
    json_from: bytes | None = b""

    def track_strings(self, written: bytes) -> StringTracker | None:
        """Whether ``written`` ends inside a JSON string; None for a grammar without JSON."""
        if self.json_from is None:
            return None
        tracker = StringTracker()
        start = written.find(self.json_from)
        if start >= 0:
            tracker.feed(written[start:])
        return tracker


def parser_limits() -> LLParserLimits:
    """Bounds on what one step may cost, so that a hostile schema ends its own answer and nobody else's."""
    return LLParserLimits(
        max_items_in_row=2_000,
        initial_lexer_fuel=1_000_000,
        step_lexer_fuel=200_000,
        step_max_items=50_000,
        max_lexer_states=50_000,
        max_grammar_size=500_000,
        verbose_errors=False,
    )


def source_of(spec: GrammarSpec, vocabulary: Vocabulary) -> GrammarSource:
    """The source of ``spec``. Raises SchemaError that names what llguidance refuses, and where."""
    match spec:
        case JsonObject():
            return schema_source({"type": "object"}, vocabulary)
        case JsonSchema(schema, strict):
            return schema_source(schema, vocabulary, strict=strict)
        case Regex(pattern):
            text = minimal_match(pattern)
            source = GrammarSource(
                LLMatcher.grammar_from_regex(pattern),
                string_completions=() if text is None else (text.encode(errors="ignore"),),
                json_from=None,
            )
            return checked(source, vocabulary, "The regular expression")
        case StringChoice(options):
            rule = "start: " + " | ".join(json.dumps(option) for option in options)
            source = GrammarSource(LLMatcher.grammar_from_lark(rule), json_from=None)
            return checked(source, vocabulary, "The list of choices")


def checked(source: GrammarSource, vocabulary: Vocabulary, what: str) -> GrammarSource:
    """``source``, or SchemaError when llguidance does not take it."""
    problem = _refused(source.text, vocabulary)
    if problem:
        raise SchemaError(f"{what} cannot be enforced: {one_line(problem)}.")
    return source


def _schema_text(schema: Schema, *, strict: bool) -> str:
    """llguidance's text for ``schema``, key order kept. Options hidden in the schema itself are not honoured."""
    return json.dumps({"grammars": [{"name": "answer", "json_schema": with_options(schema, strict=strict)}]})


def with_options(schema: Schema, *, strict: bool = True) -> Schema:
    """``schema`` with our options for llguidance in place of any it carries."""
    options: dict[str, object] = {**SEPARATORS, "lenient": not strict, "coerce_one_of": not strict}
    if (escapes := allowed_escapes(schema)) is not None:
        options["json_allowed_escapes"] = escapes
    return {**narrowed(schema), "x-guidance": options}


def schema_source(schema: Schema, vocabulary: Vocabulary, *, strict: bool = True) -> GrammarSource:
    """``schema`` enforced to the letter; with ``strict`` False as far as that is possible."""
    if strict:
        check_enforceable(schema, vocabulary)
        return _json(schema, True)
    check_finite(schema)
    enforced, exact = enforceable_part(schema, vocabulary, loosening_for(vocabulary))
    if not exact:
        check_against_draft(schema)  # the finished answer will be checked
    return _json(enforced, exact)


def check_enforceable(schema: Schema, vocabulary: Vocabulary) -> None:
    """Raises SchemaError, with the place, where not all of ``schema`` can be enforced."""
    check_finite(schema)
    check_numbers(schema)
    check_distinct(schema)
    if problem := problem_with(schema, vocabulary):
        raise refusal(schema, problem, vocabulary)


def loosening_for(vocabulary: Vocabulary) -> Loosening:
    """Leaves out of schemas what not even a lenient grammar takes."""
    return Loosening(lambda part: not problem_with(part, vocabulary, strict=False))


def enforceable_part(schema: Schema, vocabulary: Vocabulary, loosening: Loosening) -> tuple[Schema, bool]:
    """What of ``schema`` can be enforced, and whether that is all of it."""
    try:
        schema = check_schema(schema)
        check_enforceable(schema, vocabulary)
    except SchemaError:
        return loosening.of(schema), False
    return schema, True


def _json(schema: Schema, exact: bool) -> GrammarSource:
    instance = minimal_instance(schema)
    return GrammarSource(
        _schema_text(schema, strict=exact),
        schema,
        exact=exact,
        minimal_instance=None if instance is None else instance.encode(),
        max_forced_text=None if open_ended(schema) else max_forced_text(schema).encode(),
        string_completions=string_completions(schema),
        number_steps=number_steps(schema),
    )


def problem_with(schema: Schema, vocabulary: Vocabulary, *, strict: bool = True) -> str:
    """Why llguidance refuses ``schema``; empty when it does not."""
    return _refused(_schema_text(schema, strict=strict), vocabulary)


def _refused(text: str, vocabulary: Vocabulary) -> str:
    return str(LLMatcher.validate_grammar(text, vocabulary.ll, limits=parser_limits()))


def refusal(schema: Schema, problem: str, vocabulary: Vocabulary) -> SchemaError:
    """The error for what ``problem_with`` found, with the place in the schema."""
    pointer, problem = locate(schema, problem, lambda part: problem_with(part, vocabulary))
    if problem.startswith("Unimplemented keys:"):
        keyword = json.loads(problem.partition(":")[2])[0]
        return SchemaError(
            f"The schema keyword {keyword} at {pointer or '/'} cannot be enforced. "
            "Remove it, or ask with strict false to have the finished answer checked instead.",
            pointer=f"{pointer}/{keyword}",
        )
    return SchemaError(f"The schema cannot be enforced at {pointer or '/'}: {one_line(problem)}.", pointer=pointer)


def one_line(problem: str) -> str:
    """``problem`` without what llguidance draws around it: of a regular expression, what is wrong with it."""
    drawn = REGEX_PROBLEM.search(problem)
    if drawn is None and "lookarounds not supported" in problem:
        return "word boundaries and look-around are not supported in patterns"
    return " ".join((drawn[1] if drawn else problem).split()).rstrip(".")[:160]
