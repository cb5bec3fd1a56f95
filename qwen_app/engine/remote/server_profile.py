"""What each OpenAI-compatible server can and cannot do: one row a server, and how to tell which one it is.

The rows follow the servers' own documentation and source; a server that no row knows gets plain OpenAI.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

STANDARD = frozenset({"temperature", "top_p", "seed", "stop", "presence_penalty", "frequency_penalty"})


OURS = {name: name for name in ("top_k", "min_p", "repetition_penalty")}


@dataclass(frozen=True, slots=True)
class Dialect:
    """One server's ways. ``title`` is for people.

    ``sampling`` are the OpenAI fields it heeds; ``extras`` maps ours that OpenAI has not to the server's names.
    ``formats`` says how it takes a JSON object or schema: as OpenAI, a schema alone, TGI's ``value``, or not at all.
    ``grammar`` says where it takes a regex or a list of choices. ``tool_choice`` ``strings`` lacks the named form;
    ``none`` lacks the field. ``strict_tools`` marks servers that hold arguments to their schema only when told
    ``strict``; ``needs_max_tokens`` those whose own default is a few words; ``truncates`` those that cut an over-long
    prompt without a word. ``lists_all_models`` is False where an unlisted model can be asked for. ``health`` is
    the path to look at beside /v1, empty for the model list; ``tokens`` names its tokenizer's endpoint (see tokens.py).
    """

    title: str
    sampling: frozenset[str] = STANDARD
    extras: Mapping[str, str] = field(default_factory=dict)
    formats: Literal["openai", "schema_only", "tgi", "none"] = "openai"
    grammar: Literal["vllm", "sglang", "tgi", "gbnf", "none"] = "none"
    tool_choice: Literal["all", "strings", "none"] = "all"
    strict_tools: bool = False
    parallel_tool_calls: bool = True
    max_tokens_fields: tuple[str, ...] = ("max_tokens",)
    needs_max_tokens: bool = False
    refuses_top_p_one: bool = False
    usage_option: bool = True
    logprobs: bool = True
    truncates: bool = False
    lists_all_models: bool = True
    progress: bool = False
    health: str = "/health"
    tokens: Literal["vllm", "llama", "sglang", "tgi", "webui", "none"] = "none"

    def ignored(self) -> list[str]:
        """Our sampling fields that the server has no place for."""
        known = self.sampling | self.extras.keys()
        return sorted((STANDARD | {"top_k", "min_p", "repetition_penalty"}) - known)


BOTH = ("max_tokens", "max_completion_tokens")

DIALECTS: Mapping[str, Dialect] = {
    "qwen-app": Dialect("another copy of this app", extras=OURS, strict_tools=True, health="/ready", tokens="vllm"),
    "vllm": Dialect("vLLM", extras=OURS, strict_tools=True, grammar="vllm", tokens="vllm"),
    "sglang": Dialect("SGLang", extras=OURS, strict_tools=True, grammar="sglang", tokens="sglang"),
    "llama.cpp": Dialect(
        "llama.cpp",
        extras={"top_k": "top_k", "min_p": "min_p", "repetition_penalty": "repeat_penalty"},
        grammar="gbnf",
        tool_choice="strings",
        progress=True,
        tokens="llama",
    ),
    "tgi": Dialect(
        "Text Generation Inference",
        formats="tgi",
        grammar="tgi",
        parallel_tool_calls=False,
        max_tokens_fields=BOTH,
        refuses_top_p_one=True,
        tokens="tgi",
    ),
    "ollama": Dialect(
        "Ollama",
        tool_choice="none",
        parallel_tool_calls=False,
        max_tokens_fields=BOTH,
        logprobs=False,
        truncates=True,
        health="/api/version",
    ),
    "lmstudio": Dialect(
        "LM Studio",
        extras={"top_k": "top_k", "repetition_penalty": "repeat_penalty"},
        formats="schema_only",
        tool_choice="strings",
        parallel_tool_calls=False,
        max_tokens_fields=BOTH,
        logprobs=False,
        health="",
    ),
    "webui": Dialect(
        "Text Generation WebUI",
        extras=OURS,
        formats="none",
        tool_choice="none",
        parallel_tool_calls=False,
        needs_max_tokens=True,
        truncates=True,
        health="",
        tokens="webui",
    ),
    "transformers": Dialect(
        "transformers serve",
        sampling=STANDARD - {"presence_penalty"},
        formats="none",
        tool_choice="none",
        parallel_tool_calls=False,
        needs_max_tokens=True,
        logprobs=False,
        lists_all_models=False,
    ),
    "openai": Dialect("an OpenAI-compatible server", health=""),
}

# ``owned_by`` of the first model that /v1/models lists.
OWNERS: Mapping[str, str] = {
    "vllm": "vllm",
    "sglang": "sglang",
    "llamacpp": "llama.cpp",
    "library": "ollama",
    "organization_owner": "lmstudio",
}


@dataclass(frozen=True, slots=True)
class Sign:
    """A cheap GET, beside /v1, whose answer tells a server: following ``keys`` down its JSON leads somewhere."""

    path: str
    keys: tuple[str, ...]
    dialect: str

    def matches(self, answer: Any) -> bool:
        for key in self.keys:
            if not isinstance(answer, dict) or key not in answer:
                return False
            answer = answer[key]
        return True


# Asked in order where the owner says nothing. More than one server has a /version or an /info: the narrow ones first.
SIGNS = (
    Sign("/ready", ("heartbeat_age_s",), "qwen-app"),
    Sign("/props", ("default_generation_settings",), "llama.cpp"),
    Sign("/info", ("max_concurrent_requests",), "tgi"),
    Sign("/get_model_info", ("is_generation",), "sglang"),
    Sign("/api/v0/models", ("data",), "lmstudio"),
    Sign("/v1/internal/model/info", ("model_name",), "webui"),
    Sign("/api/version", ("version",), "ollama"),
    Sign("/version", ("version",), "vllm"),
    Sign("/openapi.json", ("paths", "/load_model"), "transformers"),
)
