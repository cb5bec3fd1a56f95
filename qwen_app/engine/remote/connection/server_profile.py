"""What each OpenAI-compatible server can and cannot do: one row a server, with how to tell that it is that server.

The rows follow the servers' own documentation and source; a server that no row knows gets plain OpenAI. All other code
asks a row for facts and never for its name, so a new server is a new row, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field, replace
from typing import Literal

STANDARD_SAMPLING = frozenset({"temperature", "top_p", "seed", "stop", "presence_penalty", "frequency_penalty"})
MUST_END = frozenset({"stop"})  # an answer that goes on behind it is another one
OUR_SAMPLING = {name: name for name in ("top_k", "min_p", "repetition_penalty")}
LOGIT_BIAS = frozenset({"logit_bias"})
ALL_HEEDED = LOGIT_BIAS | {"stop_token_ids", "min_tokens", "ignore_eos"}
MODELS_PATH = "/v1/models"


@dataclass(frozen=True, slots=True)
class FactSource:
    """Where a server tells a fact: the path of a cheap GET beside /v1, and the keys that lead down its JSON."""

    path: str
    keys: tuple[str, ...]

    def find(self, pages: Mapping[str, object], model: str = "") -> object:
        """The fact in ``pages`` (JSON by path), or None. A list is followed to the entry of ``model``."""
        value = pages.get(self.path)
        for key in self.keys:
            if isinstance(value, list):
                entries = [entry for entry in value if isinstance(entry, dict)]
                value = next((entry for entry in entries if model in (entry.get("id"), entry.get("name"))), None)
            value = value.get(key) if isinstance(value, dict) else None
        return value


# Entries of the model list tell the context: at vLLM and SGLang, at this app and OpenRouter, at Groq, at Mistral.
CONTEXT_NAMES = ("max_model_len", "context_length", "context_window", "max_context_length")
CONTEXT_IN_MODEL_LIST = tuple(FactSource(MODELS_PATH, ("data", name)) for name in CONTEXT_NAMES)


@dataclass(frozen=True, slots=True)
class TokenizerEndpoint:
    """A POST beside /v1: its input goes into field ``takes``, its result is field ``gives``; "" means the whole body.

    ``also`` are fields with fixed values. ``names_model`` says that the body names the model too.
    """

    path: str
    takes: str
    gives: str
    also: Mapping[str, object] = field(default_factory=dict)
    names_model: bool = False


@dataclass(frozen=True, slots=True)
class TokenizerApi:
    """A server's own tokenizer.

    ``encode`` gives ids, or objects with an ``id``; it has a ``special_field`` where it can be told whether control
    tokens in the text are such, and an ``opening_field`` where it can be told whether BOS stands before it. ``count``
    takes a chat's messages and tools, and each endpoint's result goes to the next; the last gives a number, or a list
    to be counted. Without it only plain text can be counted, so that a chat's count is an estimate.
    """

    encode: TokenizerEndpoint
    decode: TokenizerEndpoint | None
    count: tuple[TokenizerEndpoint, ...] = ()
    special_field: str = ""
    opening_field: str = ""

    @property
    def counts_exactly(self) -> bool:
        return bool(self.count)


@dataclass(frozen=True, slots=True)
class ServerProfile:
    """One server's ways. ``title`` is for people.

    Recognised by ``owned_by`` of the first listed model, else by a fact that it alone tells (``sign``).
    ``context_sources`` and ``version_source`` are where it tells its context (beside the model list) and its version.
    ``health_path`` lies beside /v1; empty means the model list. ``lists_all_models`` is False where an unlisted model
    can be asked for.

    ``sampling`` are the OpenAI fields it heeds; ``sampling_names`` maps ours that OpenAI has not to the server's names.
    ``heeds`` are fields it heeds, without which a request that has them is refused; ``template_options`` says that a
    request may say how its chat template is used, ``continues_unasked`` that it goes on with the assistant's message at
    the end whether it is told to or not. ``json_formats`` says how it takes a JSON object or schema: as OpenAI, a
    schema alone, a schema as ``value``, or not at all; ``pattern_field`` where it takes a regex or a list of choices
    (``grammar``, in GBNF, choices alone). ``tool_choice`` ``words`` lacks the named form; ``none`` lacks the field.
    ``strict_tools`` marks servers that hold arguments to their schema only when told ``strict``; ``needs_max_tokens``
    those whose own default is a few words; ``truncates`` those that cut an over-long prompt without a word;
    ``reports_progress`` those that tell the prefill's; ``stream_options`` those that count a stream when asked.
    """

    title: str
    owned_by: str = ""
    sign: FactSource | None = None
    context_sources: tuple[FactSource, ...] = ()
    version_source: FactSource | None = None
    health_path: str = "/health"
    lists_all_models: bool = True
    sampling: frozenset[str] = STANDARD_SAMPLING
    sampling_names: Mapping[str, str] = field(default_factory=dict)
    heeds: frozenset[str] = LOGIT_BIAS
    template_options: bool = False
    continues_unasked: bool = False
    json_formats: Literal["openai", "schema_only", "schema_as_value", "none"] = "openai"
    pattern_field: Literal["structured_outputs", "regex", "response_format", "grammar", "none"] = "none"
    tool_choice: Literal["all", "words", "none"] = "all"
    strict_tools: bool = False
    parallel_tool_calls: bool = True
    max_tokens_fields: tuple[str, ...] = ("max_tokens",)
    needs_max_tokens: bool = False
    refuses_top_p_one: bool = False
    logprobs: bool = True
    truncates: bool = False
    reports_progress: bool = False
    stream_options: bool = True
    tokenizer: TokenizerApi | None = None

    @property
    def fact_paths(self) -> set[str]:
        """The pages to read for context and version, beside the model list."""
        version = (self.version_source,) if self.version_source else ()
        return {source.path for source in (*self.context_sources, *version)}

    def without(self, refused: Set[str]) -> ServerProfile:
        """The same server where it takes none of these fields of a request, as far as an answer can do without them."""
        limits = tuple(name for name in self.max_tokens_fields if name not in refused)
        return replace(
            self,
            sampling=self.sampling - (refused - MUST_END),
            sampling_names={ours: theirs for ours, theirs in self.sampling_names.items() if theirs not in refused},
            max_tokens_fields=limits or ("max_completion_tokens",),
            parallel_tool_calls=self.parallel_tool_calls and "parallel_tool_calls" not in refused,
            stream_options=self.stream_options and "stream_options" not in refused,
        )

    def ignored_sampling(self) -> list[str]:
        """Our sampling fields that the server has no place for."""
        known = self.sampling | self.sampling_names.keys()
        return sorted((STANDARD_SAMPLING | OUR_SAMPLING.keys()) - known)


BOTH_TOKEN_LIMITS = ("max_tokens", "max_completion_tokens")

VLLM_ENCODE = TokenizerEndpoint("/tokenize", "prompt", "tokens", names_model=True)
VLLM_TOKENIZER = TokenizerApi(
    count=(TokenizerEndpoint("/tokenize", "", "count", {"add_generation_prompt": True}, names_model=True),),
    encode=VLLM_ENCODE,
    decode=TokenizerEndpoint("/detokenize", "tokens", "prompt", names_model=True),
    opening_field="add_special_tokens",
)

# In the order in which signs are looked for. More than one server has a /version or an /info: the narrow ones first.
SERVER_PROFILES = (
    ServerProfile(
        "another copy of this app",
        sign=FactSource("/ready", ("heartbeat_age_s",)),
        health_path="/ready",
        sampling_names=OUR_SAMPLING,
        heeds=ALL_HEEDED,
        template_options=True,
        pattern_field="structured_outputs",
        tokenizer=VLLM_TOKENIZER,
    ),
    ServerProfile(
        "llama.cpp",
        owned_by="llamacpp",
        sign=FactSource("/props", ("default_generation_settings",)),
        context_sources=(FactSource("/props", ("default_generation_settings", "n_ctx")),),  # a slot's share
        version_source=FactSource("/props", ("build_info",)),
        sampling_names={"top_k": "top_k", "min_p": "min_p", "repetition_penalty": "repeat_penalty"},
        heeds=LOGIT_BIAS | {"ignore_eos"},
        template_options=True,
        continues_unasked=True,
        pattern_field="grammar",
        tool_choice="words",
        reports_progress=True,
        tokenizer=TokenizerApi(
            count=(
                TokenizerEndpoint("/apply-template", "", "prompt"),
                TokenizerEndpoint("/tokenize", "content", "tokens", {"add_special": True, "parse_special": True}),
            ),
            encode=TokenizerEndpoint("/tokenize", "content", "tokens"),
            decode=TokenizerEndpoint("/detokenize", "tokens", "content"),
            special_field="parse_special",
            opening_field="add_special",
        ),
    ),
    ServerProfile(
        "Text Generation Inference",
        sign=FactSource("/info", ("max_concurrent_requests",)),
        context_sources=(FactSource("/info", ("max_total_tokens",)),),
        version_source=FactSource("/info", ("version",)),
        json_formats="schema_as_value",
        pattern_field="response_format",
        parallel_tool_calls=False,
        max_tokens_fields=BOTH_TOKEN_LIMITS,
        refuses_top_p_one=True,
        tokenizer=TokenizerApi(
            count=(TokenizerEndpoint("/chat_tokenize", "", "tokenize_response", names_model=True),),
            encode=TokenizerEndpoint("/tokenize", "inputs", ""),
            decode=None,
            opening_field="add_special_tokens",
        ),
    ),
    ServerProfile(
        "SGLang",
        owned_by="sglang",
        sign=FactSource("/get_model_info", ("is_generation",)),
        sampling_names=OUR_SAMPLING,
        heeds=ALL_HEEDED,
        template_options=True,
        pattern_field="regex",
        strict_tools=True,
        tokenizer=TokenizerApi(
            encode=VLLM_ENCODE,
            decode=TokenizerEndpoint("/detokenize", "tokens", "text", names_model=True),
            opening_field="add_special_tokens",
        ),
    ),
    ServerProfile(
        "LM Studio",
        owned_by="organization_owner",
        sign=FactSource("/api/v0/models", ("data",)),
        context_sources=(
            FactSource("/api/v0/models", ("data", "loaded_context_length")),
            FactSource("/api/v0/models", ("data", "max_context_length")),
        ),
        health_path="",
        sampling_names={"top_k": "top_k", "repetition_penalty": "repeat_penalty"},
        json_formats="schema_only",
        tool_choice="words",
        parallel_tool_calls=False,
        max_tokens_fields=BOTH_TOKEN_LIMITS,
        logprobs=False,
    ),
    ServerProfile(
        "Text Generation WebUI",
        sign=FactSource("/v1/internal/model/info", ("model_name",)),
        health_path="",
        sampling_names=OUR_SAMPLING,
        json_formats="none",
        tool_choice="none",
        parallel_tool_calls=False,
        needs_max_tokens=True,
        truncates=True,
        tokenizer=TokenizerApi(
            encode=TokenizerEndpoint("/v1/internal/encode", "text", "tokens"),
            decode=TokenizerEndpoint("/v1/internal/decode", "tokens", "text"),
        ),
    ),
    ServerProfile(
        "Ollama",
        owned_by="library",
        sign=FactSource("/api/version", ("version",)),
        # What the loaded model was given, which is often less than it could hold.
        context_sources=(FactSource("/api/ps", ("models", "context_length")),),
        version_source=FactSource("/api/version", ("version",)),
        heeds=frozenset(),
        health_path="/api/version",
        tool_choice="none",
        parallel_tool_calls=False,
        max_tokens_fields=BOTH_TOKEN_LIMITS,
        logprobs=False,
        truncates=True,
    ),
    ServerProfile(
        "vLLM",
        owned_by="vllm",
        sign=FactSource("/version", ("version",)),
        version_source=FactSource("/version", ("version",)),
        sampling_names=OUR_SAMPLING,
        heeds=ALL_HEEDED,
        template_options=True,
        pattern_field="structured_outputs",
        strict_tools=True,
        tokenizer=VLLM_TOKENIZER,
    ),
    ServerProfile(
        "transformers serve",
        sign=FactSource("/openapi.json", ("paths", "/load_model")),
        lists_all_models=False,
        sampling=STANDARD_SAMPLING - {"presence_penalty"},
        json_formats="none",
        tool_choice="none",
        parallel_tool_calls=False,
        needs_max_tokens=True,
        logprobs=False,
    ),
)

# Its list need not name what it answers for: deployments at Azure, variants at OpenRouter, patterns at LiteLLM.
UNKNOWN_SERVER = ServerProfile("an OpenAI-compatible server", health_path="", lists_all_models=False)
