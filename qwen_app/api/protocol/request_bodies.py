"""Request bodies: that of ``/v1/chat/completions``, as OpenAI's OpenAPI description has it, and what all share."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, cast

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    GetCoreSchemaHandler,
    JsonValue,
    StringConstraints,
    Tag,
    model_validator,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from qwen_app.api.protocol.body_reading import MAX_VALUES
from qwen_app.errors import RequestError

MAX_CHOICES = 16
MAX_STOPS = 16
MAX_IDS = MAX_VALUES
MAX_TOOLS = 128
MAX_TOKENS = 2**31 - 1
MAX_MESSAGES = 10_000
MAX_PARTS = 1000  # of one message: pieces of its content, or its tool calls
MAX_FIELDS = 200
MAX_BIASES = 1024  # tokens whose odds a request may change
MAX_STOP_IDS = 1000
CONVERSATIONS = ("messages", "prompt", "input")  # what endpoints call that which is to be answered
LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")  # of an answer
OTHER_LIMITS = (  # what programs call it that know another server or library
    *("max_new_tokens", "max_length", "n_predict", "num_predict", "max_tokens_to_sample", "max_gen_len"),
    *("maxTokens", "maxOutputTokens"),
)

Stop = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
TokenId = Annotated[int, Field(ge=0, lt=2**31)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]


class Part(BaseModel):
    """Part of a body. Numbers are not made of strings, nor of true and false.

    Fields we do not know are kept apart, so that they can be counted or refused.
    """

    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False, protected_namespaces=())


class Body(Part):
    """A request's whole body. ``refused`` are fields that change an answer in a way that is not to be had here: paths
    without indexes, each with what to do instead. What a body has a field for is never refused by this."""

    refused: ClassVar[Mapping[str, str]] = {}

    @model_validator(mode="before")
    @classmethod
    def _few_fields(cls, value: object) -> object:
        if isinstance(value, dict) and len(value) > MAX_FIELDS:
            raise PydanticCustomError("too_many_fields", f"The body has more than {MAX_FIELDS} fields. Leave some out.")
        return value

    @model_validator(mode="before")
    @classmethod
    def _of_this_endpoint(cls, value: object) -> object:
        """Raises RequestError where the conversation has another endpoint's name alone. That of this one would else
        be called missing, which says less."""
        if isinstance(value, dict) and value.keys().isdisjoint(cls.model_fields.keys() & CONVERSATIONS):
            for name in CONVERSATIONS:
                if name in cls.refused and value.get(name) is not None:
                    raise cls.refusal(name, name)
        return value

    @classmethod
    def refusal(cls, name: str, path: str) -> RequestError:
        """What is said of ``name``, one of ``refused``, at ``path``."""
        return RequestError(f"{name} is not supported. {cls.refused[name]}", param=path)


@dataclass(frozen=True, slots=True)
class AtMost:
    """Marks a list: its length is checked before its items, and the first wrong item ends the reading.

    Without it a list of a million wrong items makes a million errors.
    """

    length: int

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        items = handler(source)
        bounds = {"max_length": self.length} | ({"fail_fast": True} if items["type"] == "list" else {})
        items = cast("CoreSchema", {**items, **bounds})
        return core_schema.no_info_before_validator_function(self._check, items)

    def _check(self, value: object) -> object:
        if isinstance(value, list | dict) and len(value) > self.length:
            raise PydanticCustomError("too_long", f"At most {self.length:,} items, not {len(value):,}")
        return value


class ContentPart(Part):
    type: str
    text: str | None = None
    refusal: str | None = None


def text_of_arguments(value: object) -> str:
    """Arguments as text: they may be any, and some clients send none, or the value itself."""
    return value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)


class FunctionCall(Part):
    name: str
    arguments: Annotated[str, BeforeValidator(text_of_arguments)] = ""


class MessageToolCall(Part):
    """A call in the history. One of a tool that is no function, which another model made, is read as a call of one."""

    id: str
    type: Literal["function"] = "function"
    function: FunctionCall

    @model_validator(mode="before")
    @classmethod
    def _of_function(cls, value: object) -> object:
        if not isinstance(value, dict) or value.get("type") != "custom" or not isinstance(value.get("custom"), dict):
            return value
        custom: dict[str, object] = value["custom"]
        return {"id": value.get("id"), "function": {"name": custom.get("name"), "arguments": custom.get("input")}}


class ChatMessage(Part):
    """``function_call`` and the role ``function`` are the older form of ``tool_calls`` and ``tool``. ``refusal`` is the
    text of an answer without ``content``."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | Annotated[list[ContentPart], AtMost(MAX_PARTS)] | None = None
    refusal: str | None = None
    name: str | None = None
    function_call: FunctionCall | None = None
    tool_calls: Annotated[list[MessageToolCall], AtMost(MAX_PARTS)] | None = None
    tool_call_id: str | None = None


class FunctionDefinition(Part):
    name: Name
    description: str | None = None
    parameters: dict[str, object] | None = None
    strict: bool | None = None


class ToolDefinition(Part):
    """A function. Some clients send it here in the form of Responses, where its fields stand beside the type."""

    type: Literal["function"]
    function: FunctionDefinition

    @model_validator(mode="before")
    @classmethod
    def _nested(cls, value: object) -> object:
        if isinstance(value, dict) and "function" not in value and "name" in value:
            return {"type": value.get("type"), "function": {key: value[key] for key in value if key != "type"}}
        return value


class OtherTool(Part):
    """A tool that is no function, which nothing here can run: it is left out."""

    type: str


A_FUNCTION, ANOTHER_TOOL = "a function", "another tool"  # in pydantic's paths, so no name of a field


def tool_kind(value: object) -> str:
    """Which of the two kinds of tool ``value`` is meant to be."""
    kind = value.get("type", "function") if isinstance(value, dict) else getattr(value, "type", "function")
    return A_FUNCTION if kind == "function" or not isinstance(kind, str) else ANOTHER_TOOL


AnyTool = Annotated[
    Annotated[ToolDefinition, Tag(A_FUNCTION)] | Annotated[OtherTool, Tag(ANOTHER_TOOL)], Discriminator(tool_kind)
]


class NamedFunction(Part):
    name: str


class ToolReference(Part):
    """A function by its name, which stands beside the type or, in chat, one level below."""

    type: str
    name: str | None = None
    function: NamedFunction | None = None

    @property
    def tool_name(self) -> str | None:
        return self.function.name if self.function else self.name


class AllowedTools(Part):
    mode: Literal["auto", "required"] = "auto"
    tools: Annotated[list[ToolReference], AtMost(MAX_TOOLS)]


class ToolChoiceBody(ToolReference):
    """One function, or with type ``allowed_tools`` some of the tools: below ``allowed_tools`` or beside the type."""

    allowed_tools: AllowedTools | None = None
    mode: Literal["auto", "required"] = "auto"
    tools: Annotated[list[ToolReference], AtMost(MAX_TOOLS)] | None = None


CloseCutCalls = Annotated[
    bool | None,
    Field(description="true: a tool call that the limit would cut is ended so that its arguments fit its schema"),
]
ToolChoiceField = Literal["none", "auto", "required", "any"] | ToolChoiceBody


class JsonSchemaFormat(Part):
    name: str = "answer"
    description: str | None = None
    schema_: dict[str, object] | None = Field(None, alias="schema")
    strict: bool | None = None


class ResponseFormat(Part):
    """``schema`` stands beside the type in llama.cpp's form, which others have taken over."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchemaFormat | None = None
    schema_: dict[str, object] | None = Field(None, alias="schema")


class StructuredOutputs(Part):
    """vLLM's form of what an answer is held to: one of these."""

    json_: dict[str, object] | str | None = Field(None, alias="json")
    json_object: bool | None = None
    regex: str | None = None
    choice: Annotated[list[str], AtMost(MAX_PARTS)] | None = None


class StreamOptions(Part):
    include_usage: bool | None = None


NO_GRAMMAR = "Grammars are not enforced here. Use response_format with a JSON schema, or structured_outputs.regex."
REFUSED = {
    "grammar": NO_GRAMMAR,
    "guided_grammar": NO_GRAMMAR,
    "structured_outputs.grammar": NO_GRAMMAR,
    "structured_outputs.structural_tag": NO_GRAMMAR,
    "ebnf": NO_GRAMMAR,
    "format": "Ask for a format with response_format.",
    "regex": "Ask for a pattern with structured_outputs.regex.",
    "structural_tag": NO_GRAMMAR,
    "response_format.value": "Here it is called schema.",
    "include_stop_str_in_output": "Stop strings are never part of the answer here.",
    "truncate_prompt_tokens": "Prompts are not cut here. Leave out what is too much, or use truncation in a chat.",
    "allowed_token_ids": "Use logit_bias or structured_outputs.choice.",
    "bad_words": "Use logit_bias with the ids that /tokenize gives.",
    "use_beam_search": "There is no beam search here. Use n, and choose yourself.",
    "web_search_options": "This server searches nothing. Send what was found in the messages.",
    "audio": "This model writes text only.",
    "prompt_logprobs": "Ask /v1/completions for echo with logprobs.",
    "return_token_ids": "Token ids are not part of answers here. /tokenize gives them.",
    "return_tokens_as_token_ids": "Tokens are told as text here. /tokenize gives their ids.",
    "chat_template": "The model's own template is used. Send a prompt made with yours to /v1/completions.",
    "documents": "Send them in a message.",
    "logits_processors": "Use logit_bias.",
    "modalities": "This model writes text only.",
    "conversation": "This server keeps no conversations. Send all of it.",
    "previous_response_id": "This server keeps no responses. Send the whole conversation.",
    "thread": "This server keeps no threads. Send the whole conversation.",
    "background": "This server answers at once or not at all. Leave it out.",
}
IN_CHATS = "Only /v1/chat/completions takes it."
IN_COMPLETIONS = "Only /v1/completions takes it."
FORMAT_HERE = "Here a format is asked for in response_format."
INSTRUCTIONS_HERE = "Here it is a message of the role system."
LIMIT_HERE = "Here the limit is called max_tokens."
# What one endpoint takes and would be missed in the answers of others. A body's own fields are not refused by this.
OF_OTHERS = {
    **dict.fromkeys(("best_of", "echo", "suffix", "prompt"), IN_COMPLETIONS),
    **dict.fromkeys(("continue_final_message", "add_generation_prompt", "chat_template_kwargs"), IN_CHATS),
    **dict.fromkeys(("messages", "tools", "functions"), "Ask /v1/chat/completions."),
    **dict.fromkeys(("text.format", "output_config.format", "output_format"), FORMAT_HERE),
    **dict.fromkeys(("max_output_tokens", "max_completion_tokens"), LIMIT_HERE),
    **dict.fromkeys(("instructions", "system"), INSTRUCTIONS_HERE),
    "input": "Only /v1/responses takes it.",
    "stop_sequences": "Here they are called stop.",
    "top_logprobs": "Here logprobs is their number.",
}
# Values that ask for what is done anyway.
NEUTRAL: Mapping[str, object] = {
    **dict.fromkeys(("n", "best_of", "repetition_penalty", "repeat_penalty"), 1),
    **dict.fromkeys(("presence_penalty", "frequency_penalty", "min_p", "min_tokens", "top_logprobs"), 0),
    **{name: {} for name in ("logit_bias", "chat_template_kwargs")},
    **{name: {"type": "text"} for name in ("response_format", "text.format")},
    "modalities": ["text"],
    "add_generation_prompt": True,
}


class SamplingFields(Body):
    """What every endpoint that answers takes. ``None`` means the model's own default."""

    refused: ClassVar[Mapping[str, str]] = {**REFUSED, **OF_OTHERS}

    model: str | None = Field(None, description="the one model there is, where it is left out")
    stream: bool | None = False
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, ge=0, le=1)
    top_k: int | None = Field(None, ge=-1, le=1_000_000)
    min_p: float | None = Field(None, ge=0, le=1)
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    repetition_penalty: float | None = Field(None, gt=0, le=10)
    repeat_penalty: float | None = Field(None, gt=0, le=10, description="the same under llama.cpp's name")
    logit_bias: Annotated[dict[str, float], AtMost(MAX_BIASES)] | None = Field(
        None, description="by token id, -100 to 100: added to the token's logit"
    )
    stop: Stop | Annotated[list[Stop], AtMost(1000)] | None = None
    stop_token_ids: Annotated[list[TokenId], AtMost(MAX_STOP_IDS)] | None = None
    min_tokens: int | None = Field(None, ge=0, le=MAX_TOKENS, description="no end before so many")
    ignore_eos: bool | None = Field(None, description="go on to the limit, whatever the model wants")
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    user: str | None = Field(None, max_length=1000)

    @model_validator(mode="before")
    @classmethod
    def _limit_by_our_name(cls, value: object) -> object:
        """Raises RequestError where the only limit has a name that is not read here: the answer would have none."""
        if isinstance(value, dict) and all(value.get(name) is None for name in LIMITS):
            ours = next(name for name in LIMITS if name in cls.model_fields)
            for name in OTHER_LIMITS:
                if isinstance(limit := value.get(name), int | float) and limit > 0:
                    raise RequestError(f"{name} is not supported. Here the limit is called {ours}.", param=name)
        return value


class CompletionFields(SamplingFields):
    """What chat and plain completions share."""

    stream_options: StreamOptions | None = None
    max_tokens: int | None = Field(None, ge=1, le=MAX_TOKENS)
    n: int | None = Field(1, ge=1, le=MAX_CHOICES)
    response_format: ResponseFormat | None = None
    structured_outputs: StructuredOutputs | None = None
    guided_json: dict[str, object] | str | None = None
    guided_regex: str | None = None
    guided_choice: Annotated[list[str], AtMost(MAX_PARTS)] | None = None
    json_schema: dict[str, object] | None = Field(None, description="llama.cpp's form of a JSON schema to keep to")


class ChatRequest(CompletionFields):
    messages: Annotated[list[ChatMessage], AtMost(MAX_MESSAGES)] = Field(min_length=1)
    max_completion_tokens: int | None = Field(None, ge=1, le=MAX_TOKENS, description="wins over max_tokens")
    logprobs: bool | None = False
    top_logprobs: int | None = Field(None, ge=0, le=20)
    modalities: Annotated[list[str], AtMost(MAX_PARTS)] | None = None
    tools: Annotated[list[AnyTool], AtMost(MAX_TOOLS)] | None = None
    tool_choice: ToolChoiceField | None = None
    parallel_tool_calls: bool | None = True
    functions: Annotated[list[FunctionDefinition], AtMost(MAX_TOOLS)] | None = Field(
        None, description="the older form of tools; answered in its own older form"
    )
    function_call: Literal["none", "auto"] | NamedFunction | None = None
    add_generation_prompt: bool | None = Field(None, description="false: the prompt ends with the last message")
    continue_final_message: bool | None = Field(
        None, description="true: go on with the last message, which is the assistant's, in place of a new answer"
    )
    chat_template_kwargs: dict[str, JsonValue] | None = Field(None, description="variables of the chat template")
    close_cut_calls: CloseCutCalls = None
    truncation: Literal["auto", "disabled"] | None = Field(
        None, description="auto: leave out the oldest turns of a conversation that is too long, and report it"
    )
