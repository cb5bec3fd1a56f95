"""What is asked of an engine and what it answers: plain values, shared by everything above and below the service."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from qwen_app.errors import AppError, RequestError, SchemaError

Role = Literal["system", "user", "assistant", "tool"]
FinishReason = Literal["stop", "length", "tool_calls", "cancelled", "deadline"]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call the model made. ``arguments`` is JSON text, as in OpenAI's API."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation. ``tool_call_id`` is set on role ``tool`` alone and names the call it answers."""

    role: Role
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


@dataclass(frozen=True, slots=True)
class Tool:
    """A function the model may call. ``parameters`` is a JSON Schema with its key order kept.

    ``strict`` asks for all of it to be enforced, or the request refused; else what can be enforced is.
    """

    name: str
    description: str = ""
    parameters: dict[str, object] = field(default_factory=lambda: {"type": "object", "properties": {}})
    strict: bool = False


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """``named`` forces the tool called ``name``."""

    mode: Literal["auto", "none", "required", "named"] = "auto"
    name: str | None = None
    parallel: bool = True

    @property
    def forced(self) -> bool:
        """There must be a call."""
        return self.mode in ("required", "named")


CHOICE_LIMIT = 1_000  # strings that an answer may be held to


@dataclass(frozen=True, slots=True)
class JsonObject:
    """The answer is a JSON object, any one."""


@dataclass(frozen=True, slots=True)
class JsonSchema:
    """The answer is a JSON document that ``schema`` allows.

    ``structured.schema_check`` makes one from what a visitor wrote. ``strict=False`` allows keywords the grammar cannot
    enforce: the finished text is then validated instead. ``text`` is the schema as JSON text in its own key order, by
    which two are told apart: a grammar enforces the order of keys, which ``dict`` leaves out when it compares.
    """

    schema: dict[str, object] = field(compare=False)
    strict: bool = True
    text: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", json.dumps(self.schema, ensure_ascii=False))


@dataclass(frozen=True, slots=True)
class Regex:
    """The whole answer matches ``pattern``."""

    pattern: str


@dataclass(frozen=True, slots=True)
class StringChoice:
    """The answer is one of ``options``, to the letter. Raises SchemaError where these are none, empty or too many."""

    options: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.options or "" in self.options:
            raise SchemaError("The choices must be one or more strings, none of them empty.")
        if len(self.options) > CHOICE_LIMIT:
            raise SchemaError(f"At most {CHOICE_LIMIT} choices can be enforced; {len(self.options)} were given.")


# What the answer's text must look like. Constrained decoding holds the model to it (see ``structured``).
GrammarSpec = JsonObject | JsonSchema | Regex | StringChoice


SAMPLING_RANGES: dict[str, tuple[float, float]] = {
    "repetition_penalty": (0.01, 10),
    "presence_penalty": (-2, 2),
    "frequency_penalty": (-2, 2),
    "temperature": (0, 10),
    "top_k": (0, 1_000_000),
    "top_p": (0, 1),
    "min_p": (0, 1),
    "max_tokens": (1, 10_000_000),
    "top_logprobs": (0, 20),
    "min_tokens": (0, 10_000_000),
}
LOWEST_BIAS, HIGHEST_BIAS = -100.0, 100.0  # OpenAI's: the ends ban a token or leave no other


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """How the next token is chosen, in the order the fields apply. The defaults change nothing.

    ``logit_bias`` is added to the logits of token ids. ``top_k`` 0 and ``top_p`` 1.0 mean off; ``temperature`` 0 means
    greedy. ``max_tokens`` None means as many as the context has room for. ``seed`` None draws a fresh one.

    Free text ends with the model's end token, at a ``stop`` string or one of ``stop_token_ids``, none of which counts
    before ``min_tokens``; with ``ignore_eos`` the model's own end never counts. What is held to a grammar ends where
    its document does. ``prompt_logprobs`` asks for those of the prompt's tokens, with ``top_logprobs`` alternatives.
    """

    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: tuple[tuple[int, float], ...] = ()
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    seed: int | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    stop_token_ids: tuple[int, ...] = ()
    min_tokens: int = 0
    ignore_eos: bool = False
    logprobs: bool = False
    top_logprobs: int = 0
    prompt_logprobs: bool = False

    def __post_init__(self) -> None:
        """Raises RequestError for a value no sampler can use."""
        for name, (lowest, highest) in SAMPLING_RANGES.items():
            value = getattr(self, name)
            if value is not None and not lowest <= value <= highest:
                raise RequestError(f"{name} must lie between {lowest} and {highest}; it is {value}.", param=name)
        if "" in self.stop:
            raise RequestError("A stop string cannot be empty: every answer would end at once.", param="stop")
        if any(not LOWEST_BIAS <= bias <= HIGHEST_BIAS for _, bias in self.logit_bias):
            raise RequestError(f"A bias lies between {LOWEST_BIAS:g} and {HIGHEST_BIAS:g}.", param="logit_bias")
        if self.max_tokens is not None and self.min_tokens > self.max_tokens:
            raise RequestError("min_tokens is more than max_tokens allows.", param="min_tokens")


@dataclass(frozen=True, slots=True)
class PromptPolicy:
    """What to do where a conversation and its answer do not fit the context.

    ``overflow`` ``trim`` leaves out whole turns, oldest first, and keeps ``reserve_tokens`` free for the answer (None:
    ``max_tokens``, or a share of the context); the system prompt, ``pinned_turns`` and the last turn stay, as many of
    the ``preferred_turns`` as fit beside them, and ``dropped_turns`` are left out whatever room there is. Turns are
    numbered as ``qwen_app.chat.window`` splits them.
    ``cap_answer`` makes ``max_tokens`` "at most": it shrinks to the room that is left, where otherwise a request that
    has no room for all of it is refused. ``hint`` is a format to ask for in words though nothing enforces it; what the
    request's own grammar enforces is always asked for in words too.
    """

    overflow: Literal["refuse", "trim"] = "refuse"
    reserve_tokens: int | None = None
    pinned_turns: frozenset[int] = frozenset()
    preferred_turns: frozenset[int] = frozenset()
    dropped_turns: frozenset[int] = frozenset()
    cap_answer: bool = False
    hint: GrammarSpec | None = None


@dataclass(frozen=True, slots=True)
class TemplateOptions:
    """How the chat template is used. ``continue_final`` leaves the last message open, to be gone on with;
    ``open_answer`` False ends the prompt with the last message, and nobody's turn begun. ``variables`` are the
    template's own, as JSON values; those it does not know have no effect."""

    continue_final: bool = False
    open_answer: bool = True
    variables: Mapping[str, object] = field(default_factory=dict)


PLAIN_TEMPLATE = TemplateOptions()


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """One answer asked of an engine.

    Either ``messages`` (a chat) or ``prompt`` is set: what is to be continued as it is, text in which control tokens
    are control tokens, or token ids. ``suffix`` is what is to come after the answer, for models with tokens for that.
    ``user`` is whom fairness counts the request for. A call that a limit cuts ends where it was cut, or, with
    ``close_cut_calls``, with the shortest end that its schema allows. ``context_tokens`` lowers the context below what
    the engine has. ``timeout_s`` runs from submission. ``conversation_id`` is stable over the turns of one chat, so
    that a router can send them to one replica.
    """

    request_id: str
    messages: tuple[Message, ...] = ()
    prompt: str | tuple[int, ...] | None = None
    suffix: str | None = None
    template: TemplateOptions = PLAIN_TEMPLATE
    sampling: SamplingParams = SamplingParams()
    user: str = "anonymous"
    conversation_id: str = ""
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice = ToolChoice()
    close_cut_calls: bool = False
    grammar: GrammarSpec | None = None
    context_tokens: int | None = None
    timeout_s: float | None = None
    policy: PromptPolicy = PromptPolicy()


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A chosen token with its log-probability (natural log) and the best alternatives."""

    token_id: int
    text: str
    bytes: bytes
    logprob: float
    top: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens counted. ``reused_tokens`` of the prompt were still held from earlier and cost nothing."""

    prompt_tokens: int
    completion_tokens: int
    reused_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.reused_tokens + other.reused_tokens,
        )


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds, from the request's arrival: until a slot was free, until the first token, until the end."""

    queued_s: float
    first_token_s: float
    total_s: float

    def tokens_per_s(self, completion_tokens: int) -> float:
        """Decoding speed after the first token; 0.0 where there was nothing to measure."""
        decoding_s = self.total_s - self.first_token_s
        return (completion_tokens - 1) / decoding_s if completion_tokens > 1 and decoding_s > 0 else 0.0


# The events of an answer, in order: Planned (from the service, not from engines), Queued, Prefill...,
# (Thought | Delta | ToolCallDelta)..., then one Finished or Failed.


@dataclass(frozen=True, slots=True)
class Planned:
    """What the prompt will hold. Turns are counted as in ``qwen_app.chat.window``, messages with them.

    ``left_out`` are the numbers of the dropped turns, ``dropped_tokens`` their size. ``prompt_tokens`` and
    ``reply_tokens`` (the most the answer may take) are None where nobody had to count yet: ``Prefill`` tells the first
    of them, and a request that does not fit is refused by the engine.
    """

    kept_turns: int
    dropped_turns: int = 0
    dropped_messages: int = 0
    prompt_tokens: int | None = None
    reply_tokens: int | None = None
    left_out: tuple[int, ...] = ()
    dropped_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Queued:
    """The request was admitted. ``position`` requests wait before it; 0 means it starts at once."""

    position: int


@dataclass(frozen=True, slots=True)
class Prefill:
    """``done`` of ``total`` prompt tokens are read, ``reused`` of them from an earlier request.

    ``logprobs`` are those of the tokens read last, where they were asked for: then none is reused. That of the first
    token is not a number, for nothing came before it.
    """

    done: int
    total: int
    reused: int
    logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True)
class Delta:
    """New text. ``token_ids`` may be empty (a remote server) or hold ids whose text is still held back."""

    text: str
    token_ids: tuple[int, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True)
class Thought:
    """New text of what the model thinks before it answers, where a remote server tells it apart from the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """Part of tool call ``index``: first its ``id`` and ``name``, then pieces of ``arguments`` that join to JSON."""

    index: int
    id: str | None = None
    name: str | None = None
    arguments: str = ""


@dataclass(frozen=True, slots=True)
class Finished:
    """The answer ended as it should. ``seed`` is the one used; ``closed`` says that the closer ended the document.

    ``stop`` is the stop string that ended the answer, where one did and the engine knows. ``calls_off_schema`` is how
    many calls do not keep to all of their tool's schema (from the service, not from engines).
    """

    reason: FinishReason
    usage: Usage
    timings: Timings
    seed: int | None = None
    closed: bool = False
    stop: str | None = None
    calls_off_schema: int = 0


@dataclass(frozen=True, slots=True)
class Failed:
    """The answer ended in an error. ``partial_text`` is all that was streamed before."""

    error: AppError
    partial_text: str = ""


Event = Planned | Queued | Prefill | Thought | Delta | ToolCallDelta | Finished | Failed
