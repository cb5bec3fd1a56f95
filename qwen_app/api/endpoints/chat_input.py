"""What the body of ``POST /v1/chat/completions`` asks for, in the engine's terms."""

from __future__ import annotations

from qwen_app.api.access.request_guard import RequestContext
from qwen_app.api.protocol.request_bodies import ChatRequest
from qwen_app.api.protocol.request_translation import (
    conversation_id,
    grammar_of,
    messages_of,
    sampling_of,
    stops_of,
    tool_choice_of,
    tools_of,
)
from qwen_app.errors import RequestError
from qwen_app.messages import GenerationRequest, PromptPolicy
from qwen_app.service import Service


def chat_request(service: Service, body: ChatRequest, context: RequestContext) -> GenerationRequest:
    """Raises RequestError for what this server cannot do, naming the field."""
    tools = tools_of(body.tools)
    choice = tool_choice_of(body.tool_choice, tools, parallel=body.parallel_tool_calls is not False)
    messages = messages_of(body.messages)
    grammar = grammar_of(body.response_format, choice)
    if body.top_logprobs and not body.logprobs:
        raise RequestError("top_logprobs needs logprobs: true.", param="top_logprobs")
    return GenerationRequest(
        context.request_id,
        messages,
        sampling=sampling_of(
            body,
            service,
            stop=stops_of(body.stop),
            max_tokens=body.max_completion_tokens or body.max_tokens,
            logprobs=bool(body.logprobs),
            top_logprobs=body.top_logprobs or 0,
        ),
        user=context.caller.name,
        conversation_id=conversation_id(context.caller.name, messages),
        tools=tools,
        tool_choice=choice,
        grammar=grammar,
        policy=PromptPolicy(overflow="trim" if body.truncation == "auto" else "refuse"),
    )
