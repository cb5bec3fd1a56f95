"""From what was asked for to the text llguidance compiles. A refusal is a SchemaError that says what and where."""

from __future__ import annotations

import json
from dataclasses import dataclass

from llguidance import LLMatcher, LLParserLimits

from qwen_app.errors import SchemaError
from qwen_app.messages import GrammarSpec
from qwen_app.structured.closing.minimal_instance import (
    longest_commitment,
    open_ended,
    smallest_document,
    string_endings,
)
from qwen_app.structured.closing.minimal_match import shortest_match
from qwen_app.structured.json_text import StringTracker
from qwen_app.structured.schema_check import Schema, locate, parse_schema
from qwen_app.structured.validation import check_against_draft, validate_text
from qwen_app.structured.vocabulary import Vocabulary

# Unbounded blanks are legal JSON, and a model that wanted other text writes them to the end of its budget.
WHITESPACE = r"[ \t\n\r]{1,8}"
CHOICE_LIMIT = 1_000


@dataclass(frozen=True, slots=True)
class CompiledGrammar:
    """``source`` is what llguidance takes.

    ``example`` may be a small answer. ``commitment`` is about the most text that one token can commit an answer
    to, None where that is not known. ``endings`` are how strings may end that a pattern holds open.
    ``json_from`` is the text at which JSON starts, None for a grammar without JSON.
    """

    source: str
    schema: Schema | None = None
    exact: bool = True
    example: bytes | None = None
    commitment: bytes | None = None
    endings: tuple[bytes, ...] = ()
    json_from: bytes | None = b""

    def track(self, text: bytes) -> StringTracker | None:
        if self.json_from is None:
            return None
        tracker = StringTracker()
        start = text.find(self.json_from)
        if start >= 0:
            tracker.feed(text[start:])
        return tracker

    def validate(self, text: str) -> str | None:
        if self.schema is None:
            return None
        return validate_text(text, self.schema)


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


def compile_spec(spec: GrammarSpec, vocabulary: Vocabulary) -> CompiledGrammar:
    match spec.kind:
        case "json_object":
            return compile_schema({"type": "object"}, vocabulary)
        case "json_schema":
            return compile_schema(parse_schema(spec.text), vocabulary, strict=spec.strict)
        case "regex":
            text = shortest_match(spec.text)
            endings = () if text is None else (text.encode(errors="ignore"),)
            source = LLMatcher.grammar_from_regex(spec.text)
            return checked(
                CompiledGrammar(source, endings=endings, json_from=None), vocabulary, "The regular expression"
            )
        case "choice":
            return checked(CompiledGrammar(_choice(spec.text), json_from=None), vocabulary, "The list of choices")


def _choice(text: str) -> str:
    try:
        choices = json.loads(text)
    except ValueError as error:
        raise SchemaError(f"The choices are not valid JSON: {error}.") from error
    if not isinstance(choices, list) or not choices or not all(isinstance(one, str) and one for one in choices):
        raise SchemaError("The choices must be a JSON list of one or more strings, none of them empty.")
    if len(choices) > CHOICE_LIMIT:
        raise SchemaError(f"At most {CHOICE_LIMIT} choices can be enforced; {len(choices)} were given.")
    return str(LLMatcher.grammar_from_lark("start: " + " | ".join(json.dumps(one) for one in choices)))


def checked(compiled: CompiledGrammar, vocabulary: Vocabulary, what: str) -> CompiledGrammar:
    """``compiled``, or SchemaError when llguidance does not take it."""
    problem = _refused(compiled.source, vocabulary)
    if problem:
        raise SchemaError(f"{what} cannot be enforced: {one_line(problem)}.")
    return compiled


def schema_source(schema: Schema, *, strict: bool = True) -> str:
    """llguidance's text for ``schema``, key order kept. Options hidden in the schema itself are not honoured."""
    return json.dumps({"grammars": [{"name": "answer", "json_schema": with_options(schema, strict=strict)}]})


def with_options(schema: Schema, *, strict: bool = True) -> Schema:
    """``schema`` with our options for llguidance in place of any it carries."""
    options = {"whitespace_pattern": WHITESPACE, "lenient": not strict, "coerce_one_of": not strict}
    return {**schema, "x-guidance": options}


def compile_schema(schema: Schema, vocabulary: Vocabulary, *, strict: bool = True) -> CompiledGrammar:
    """``schema`` enforced to the letter; with ``strict`` False leniently where that is not possible."""
    problem = problem_with(schema, vocabulary, strict=True)
    if not problem:
        return _json(schema, schema_source(schema), exact=True)
    if strict or problem_with(schema, vocabulary, strict=False):
        raise refusal(schema, problem, vocabulary)
    check_against_draft(schema)
    return _json(schema, schema_source(schema, strict=False), exact=False)


def _json(schema: Schema, source: str, *, exact: bool) -> CompiledGrammar:
    example = smallest_document(schema)
    return CompiledGrammar(
        source,
        schema,
        exact=exact,
        example=None if example is None else example.encode(),
        commitment=None if open_ended(schema) else longest_commitment(schema).encode(),
        endings=string_endings(schema),
    )


def problem_with(schema: Schema, vocabulary: Vocabulary, *, strict: bool = True) -> str:
    """Why llguidance refuses ``schema``; empty when it does not."""
    return _refused(schema_source(schema, strict=strict), vocabulary)


def _refused(source: str, vocabulary: Vocabulary) -> str:
    return str(LLMatcher.validate_grammar(source, vocabulary.ll, limits=parser_limits()))


def refusal(schema: Schema, problem: str, vocabulary: Vocabulary) -> SchemaError:
    """The error for what ``problem_with`` found, with the place in the schema."""
    pointer, problem = locate(schema, problem, lambda part: problem_with(part, vocabulary, strict=True))
    if problem.startswith("Unimplemented keys:"):
        keyword = json.loads(problem.partition(":")[2])[0]
        return SchemaError(
            f"The schema keyword {keyword} at {pointer or '/'} cannot be enforced. "
            "Remove it, or ask with strict false to have the finished answer checked instead.",
            pointer=f"{pointer}/{keyword}",
        )
    return SchemaError(f"The schema cannot be enforced at {pointer or '/'}: {one_line(problem)}.", pointer=pointer)


def one_line(problem: str) -> str:
    return " ".join(problem.split()).rstrip(".")[:160]
