"""One small server per kind, with its gaps: it refuses, ignores or misshapes what the real one does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tests.engine.remote.upstream import Handler, Reply, Request, Upstream
from tests.engine.remote.vllm_like import MODEL, count_messages, piece

CONTEXT_TOKENS = 300
SENTENCE = ("The", " capital", " is", " Paris", ".")
SAMPLING_FIELDS = {"temperature", "top_p", "seed", "stop", "presence_penalty", "frequency_penalty", "n"}
OTHER_FIELDS = {"model", "messages", "stream", "stream_options", "logprobs", "top_logprobs", "response_format", "user"}
TOOL_FIELDS = {"tools", "tool_choice", "parallel_tool_calls"}
OPENAI_FIELDS = SAMPLING_FIELDS | OTHER_FIELDS | TOOL_FIELDS | {"max_tokens", "max_completion_tokens"}


class FakeServer:
    """What all share. A subclass overrides what its server does another way; ``bodies`` are its chats',
    ``seen`` is the last of them."""

    name: ClassVar[str]
    owner = "someone"
    context_in_models: str | None = None
    finish = "stop"
    done = True
    usage_chunk = True

    def __init__(self, key: str = "") -> None:
        self.key = key
        self.seen: dict[str, Any] = {}
        self.bodies: list[dict[str, Any]] = []

    def routes(self) -> dict[str, Handler]:
        return {"GET /v1/models": self.models, "POST /v1/chat/completions": self._chat, "GET /health": self.well}

    def upstream(self) -> Upstream:
        return Upstream(self.routes())

    def error(self, status: int, message: str, **more: object) -> dict[str, Any]:
        return {"error": {"message": message, "type": "BadRequestError", "param": None, "code": status}}

    def unauthorized(self) -> Any:
        return self.error(401, "Unauthorized")

    def overflow(self, prompt_tokens: int, answer_tokens: int) -> tuple[int, dict[str, Any]]:
        message = (
            f"This model's maximum context length is {CONTEXT_TOKENS} tokens. However, you requested "
            f"{prompt_tokens + answer_tokens} tokens ({prompt_tokens} in the messages, "
            f"{answer_tokens} in the completion). Please reduce the length."
        )
        return 400, self.error(400, message)

    async def well(self, request: Request, reply: Reply) -> None:
        await reply.raw(b"")

    async def models(self, request: Request, reply: Reply) -> None:
        if not self._allowed(request):
            await reply.json(self.unauthorized(), 401)
            return
        entry = {"id": MODEL, "object": "model", "created": 1, "owned_by": self.owner}
        if self.context_in_models:
            entry[self.context_in_models] = CONTEXT_TOKENS
        await reply.json({"object": "list", "data": [entry]})

    def refusal(self, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]] | None:
        prompt_tokens = count_messages(body)
        if prompt_tokens + body.get("max_tokens", 1) > CONTEXT_TOKENS:
            return self.overflow(prompt_tokens, body.get("max_tokens", 1))
        return None

    async def _chat(self, request: Request, reply: Reply) -> None:
        self.seen = request.body
        self.bodies.append(request.body)
        if not self._allowed(request):
            await reply.json(self.unauthorized(), 401)
            return
        refused = self.refusal(request.body)
        if refused is not None:
            await reply.json(refused[1], refused[0])
            return
        await reply.stream()
        await self.answer(request.body, reply)
        await reply.end()

    async def answer(self, body: Mapping[str, Any], reply: Reply) -> None:
        pieces = ['{"city":', ' "Paris"}'] if self.constrained(body) else SENTENCE
        for text in pieces:
            await reply.event(piece(text))
        await reply.event(piece("", finish=self.finish))
        if self.usage_chunk and body.get("stream_options"):
            await reply.event({"object": "chat.completion.chunk", "choices": [], "usage": self.usage(body)})
        if self.done:
            await reply.event("[DONE]")

    def constrained(self, body: Mapping[str, Any]) -> bool:
        return "response_format" in body

    def usage(self, body: Mapping[str, Any]) -> dict[str, Any]:
        return {"prompt_tokens": count_messages(body), "completion_tokens": len(SENTENCE)}

    def _allowed(self, request: Request) -> bool:
        return not self.key or request.headers.get("authorization") == f"Bearer {self.key}"


async def _answer(value: object, reply: Reply) -> None:
    await reply.json(value)


class Vllm(FakeServer):
    name = "vLLM"
    owner = "vllm"
    context_in_models = "max_model_len"

    def unauthorized(self) -> Any:
        return {"error": "Unauthorized"}

    def usage(self, body: Mapping[str, Any]) -> dict[str, Any]:
        return super().usage(body) | {"prompt_tokens_details": {"cached_tokens": 3}}


class Sglang(FakeServer):
    """Flat errors; a tokenizer for text alone."""

    name = "SGLang"
    owner = "sglang"
    context_in_models = "max_model_len"

    def routes(self) -> dict[str, Handler]:
        return super().routes() | {"POST /tokenize": self.tokenize, "POST /detokenize": self.detokenize}

    def error(self, status: int, message: str, **more: object) -> dict[str, Any]:
        return {"object": "error", "message": message, "type": str(status), "param": None, "code": status}

    def unauthorized(self) -> Any:
        return {"error": "Unauthorized"}

    def overflow(self, prompt_tokens: int, answer_tokens: int) -> tuple[int, dict[str, Any]]:
        return 400, self.error(
            400,
            f"Requested token count exceeds the model's maximum context length of {CONTEXT_TOKENS} tokens. "
            f"You requested a total of {prompt_tokens + answer_tokens} tokens: "
            f"{prompt_tokens} tokens from the input messages and "
            f"{answer_tokens} tokens for the completion.",
        )

    async def tokenize(self, request: Request, reply: Reply) -> None:
        ids = [1] * request.body["add_special_tokens"] + list(request.body["prompt"].encode())
        await reply.json({"tokens": ids, "count": len(ids), "max_model_len": CONTEXT_TOKENS})

    async def detokenize(self, request: Request, reply: Reply) -> None:
        await reply.json({"text": bytes(request.body["tokens"]).decode()})


class LlamaCpp(FakeServer):
    """Progress in the stream, reuse in ``timings``, numbers in the error, tool_choice as a word only.

    ``drops_tools``: its model's template has no place for them, and it says nothing of that.
    """

    name = "llama.cpp"
    owner = "llamacpp"
    drops_tools = False

    def routes(self) -> dict[str, Handler]:
        return super().routes() | {
            "GET /props": self.props,
            "POST /apply-template": self.template,
            "POST /tokenize": self.tokenize,
            "POST /detokenize": self.detokenize,
        }

    async def props(self, request: Request, reply: Reply) -> None:
        await reply.json({"default_generation_settings": {"n_ctx": CONTEXT_TOKENS}, "build_info": "b9000"})

    async def template(self, request: Request, reply: Reply) -> None:
        tools = 0 if self.drops_tools else 10 * len(request.body.get("tools") or ())
        words = " ".join(["<s>"] * (4 * len(request.body["messages"]) + tools))
        await reply.json({"prompt": " ".join([words, *(m["content"] for m in request.body["messages"])])})

    async def tokenize(self, request: Request, reply: Reply) -> None:
        words = [[word] if request.body["parse_special"] else list(word) for word in request.body["content"].split()]
        await reply.json({"tokens": list(range(sum(map(len, words))))})

    async def detokenize(self, request: Request, reply: Reply) -> None:
        await reply.json({"content": " ".join(map(str, request.body["tokens"]))})

    def error(self, status: int, message: str, **more: object) -> dict[str, Any]:
        return {"error": {"code": status, "message": message, "type": "invalid_request_error"} | more}

    def overflow(self, prompt_tokens: int, answer_tokens: int) -> tuple[int, dict[str, Any]]:
        numbers = {"type": "exceed_context_size_error", "n_prompt_tokens": prompt_tokens, "n_ctx": CONTEXT_TOKENS}
        return 400, self.error(400, "the request exceeds the available context size, try increasing it", **numbers)

    def refusal(self, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]] | None:
        if isinstance(body.get("tool_choice", ""), dict):
            return 400, self.error(400, "tool_choice must be a string")
        return super().refusal(body)

    async def answer(self, body: Mapping[str, Any], reply: Reply) -> None:
        total = count_messages(body)
        if body.get("return_progress"):
            progress = {"total": total, "cache": 2, "processed": total, "time_ms": 1}
            await reply.event(piece("") | {"prompt_progress": progress})
        for text in SENTENCE:
            await reply.event(piece(text))
        last = piece("", finish="stop") | {"timings": {"cache_n": 2}, "usage": self.usage(body)}
        await reply.event(last)
        await reply.event("[DONE]")


class Tgi(FakeServer):
    """Errors as text beside ``error_type``; a schema in ``value``; top_p below 1; an end called eos_token."""

    name = "Text Generation Inference"
    owner = MODEL
    finish = "eos_token"

    def routes(self) -> dict[str, Handler]:
        return super().routes() | {"GET /info": self.info, "POST /chat_tokenize": self.tokenize}

    async def info(self, request: Request, reply: Reply) -> None:
        await reply.json({"model_id": MODEL, "max_concurrent_requests": 4, "max_total_tokens": CONTEXT_TOKENS})

    async def tokenize(self, request: Request, reply: Reply) -> None:
        ids = [{"id": n, "text": "x"} for n in range(count_messages(request.body))]
        await reply.json({"tokenize_response": ids, "templated_text": "x"})

    def error(self, status: int, message: str, **more: object) -> dict[str, Any]:
        return {"error": message, "error_type": "validation"}

    def overflow(self, prompt_tokens: int, answer_tokens: int) -> tuple[int, dict[str, Any]]:
        return 422, self.error(
            422,
            f"Input validation error: `inputs` tokens + `max_new_tokens` must be <= {CONTEXT_TOKENS}. "
            f"Given: {prompt_tokens} `inputs` tokens and {answer_tokens} `max_new_tokens`",
        )

    def refusal(self, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]] | None:
        if body.get("top_p", 0.5) >= 1.0:
            return 422, self.error(422, "Input validation error: `top_p` must be > 0.0 and < 1.0")
        if body.get("response_format", {"value": 1}).get("value") is None:
            return 422, self.error(422, "missing field `value`")
        return super().refusal(body)


class Ollama(FakeServer):
    """No tool_choice, no max_completion_tokens, and an over-long prompt is cut without a word."""

    name = "Ollama"
    owner = "library"

    def routes(self) -> dict[str, Handler]:
        return super().routes() | {"GET /api/version": self.version, "GET /api/ps": self.running}

    async def version(self, request: Request, reply: Reply) -> None:
        await reply.json({"version": "0.20.0"})

    async def running(self, request: Request, reply: Reply) -> None:
        await reply.json({"models": [{"name": MODEL, "context_length": CONTEXT_TOKENS}]})

    def error(self, status: int, message: str, **more: object) -> dict[str, Any]:
        return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None}}

    def refusal(self, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]] | None:
        return None


class LmStudio(FakeServer):
    """Errors as text; no json_object; tool_choice as a word only."""

    name = "LM Studio"
    owner = "organization_owner"

    def routes(self) -> dict[str, Handler]:
        return super().routes() | {"GET /api/v0/models": self.studio}

    async def studio(self, request: Request, reply: Reply) -> None:
        await reply.json({"data": [{"id": MODEL, "max_context_length": 4096, "loaded_context_length": CONTEXT_TOKENS}]})

    def error(self, status: int, message: str, **more: object) -> dict[str, Any]:
        return {"error": message}

    def overflow(self, prompt_tokens: int, answer_tokens: int) -> tuple[int, dict[str, Any]]:
        return 400, self.error(400, "Trying to keep more tokens than the context length of the loaded model allows.")

    def refusal(self, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]] | None:
        if body.get("response_format", {}).get("type") == "json_object":
            return 400, self.error(400, "'response_format.type' must be 'json_schema' or 'text'")
        if isinstance(body.get("tool_choice", ""), dict):
            return 400, self.error(400, "Invalid tool_choice type: 'object'")
        return super().refusal(body)


class WebUi(FakeServer):
    """Text Generation WebUI: 512 tokens unless told, JSON modes ignored, a tokenizer under /v1/internal."""

    name = "Text Generation WebUI"
    owner = "user"
    usage_chunk = False

    def routes(self) -> dict[str, Handler]:
        return super().routes() | {
            "GET /v1/internal/model/info": self.info,
            "POST /v1/internal/encode": self.encode,
            "POST /v1/internal/decode": self.decode,
        }

    async def info(self, request: Request, reply: Reply) -> None:
        await reply.json({"model_name": MODEL, "lora_names": []})

    async def encode(self, request: Request, reply: Reply) -> None:
        ids = list(request.body["text"].encode())
        await reply.json({"tokens": ids, "length": len(ids)})

    async def decode(self, request: Request, reply: Reply) -> None:
        await reply.json({"text": bytes(request.body["tokens"]).decode()})


class Transformers(FakeServer):
    """transformers serve: unknown fields refused, FastAPI's error shape, no [DONE], usage on the last chunk."""

    name = "transformers serve"
    owner = "HuggingFaceTB"
    done = False
    usage_chunk = False

    def routes(self) -> dict[str, Handler]:
        return super().routes() | {"GET /openapi.json": self.openapi}

    async def openapi(self, request: Request, reply: Reply) -> None:
        await reply.json({"openapi": "3.1.0", "paths": {"/v1/chat/completions": {}, "/load_model": {}}})

    def error(self, status: int, message: str, **more: object) -> dict[str, Any]:
        return {"detail": message}

    def refusal(self, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]] | None:
        unexpected = body.keys() - OPENAI_FIELDS
        return (422, self.error(422, f"Unexpected fields in the request: {unexpected}")) if unexpected else None

    async def answer(self, body: Mapping[str, Any], reply: Reply) -> None:
        for text in SENTENCE:
            await reply.event(piece(text))
        await reply.event(piece("", finish="stop") | {"usage": self.usage(body)})


FAKE_SERVERS: tuple[type[FakeServer], ...] = (Vllm, Sglang, LlamaCpp, Tgi, Ollama, LmStudio, WebUi, Transformers)
