"""What the body of ``POST /v1/chat/completions`` asks for, in the engine's terms."""

from __future__ import annotations

from qwen_app.api.access.request_guard import RequestContext
from qwen_app.api.protocol.format_translation import grammar_of
from qwen_app.api.protocol.long_lists import converted
from qwen_app.api.protocol.request_bodies import ChatRequest, NamedFunction
from qwen_app.api.protocol.request_translation import (
    chat_sources,
    check_model,
    conversation_id,
    messages_of,
    sampling_of,
)
from qwen_app.api.protocol.tool_translation import Offer, chat_tools, offer_of, tools_of
from qwen_app.errors import RequestError
from qwen_app.messages import GenerationRequest, Message, PromptPolicy, TemplateOptions
from qwen_app.service import Service


async def chat_request(service: Service, body: ChatRequest, context: RequestContext) -> GenerationRequest:
    """Raises NotFound for another model and RequestError for what this server cannot do, naming the field."""
    check_model(body.model, service.info())
    tools, choice = _offer(body)
    messages = await converted(len(body.messages), _messages, body)
    if body.top_logprobs and not body.logprobs:
        raise RequestError("top_logprobs needs logprobs: true.", param="top_logprobs")
    if set(body.modalities or ()) - {"text"}:
        raise RequestError("This model writes text only.", param="modalities")
    return GenerationRequest(
        context.request_id,
        messages,
        template=_template(body),
        sampling=sampling_of(
            body,
            service,
            max_tokens=body.max_completion_tokens or body.max_tokens,
            logprobs=bool(body.logprobs),
            top_logprobs=body.top_logprobs or 0,
        ),
        user=context.caller.name,
        conversation_id=conversation_id(context.caller.name, messages),
        tools=tools,
        tool_choice=choice,
        close_cut_calls=bool(body.close_cut_calls),
        grammar=None if choice.forced else grammar_of(body),  # a format is for text
        policy=PromptPolicy(overflow="trim" if body.truncation == "auto" else "refuse"),
    )


def _messages(body: ChatRequest) -> tuple[Message, ...]:
    return messages_of(chat_sources(body.messages))


def _offer(body: ChatRequest) -> Offer:
    if body.functions is None:
        if isinstance(body.function_call, NamedFunction):
            raise RequestError(
                "function_call belongs to functions. Beside tools send tool_choice.", param="function_call"
            )
        tools = chat_tools(body.tools or ())
        return offer_of(tools, body.tool_choice, parallel=body.parallel_tool_calls is not False)
    if body.tools:
        raise RequestError("functions is the older form of tools. Send one of them.", param="functions")
    functions = [(f"functions[{index}].name", function) for index, function in enumerate(body.functions)]
    return offer_of(tools_of(functions), body.function_call, parallel=False, param="function_call")


def _template(body: ChatRequest) -> TemplateOptions:
    continued, opened = bool(body.continue_final_message), body.add_generation_prompt
    if continued and opened:
        raise RequestError(
            "continue_final_message goes on with the last message, and add_generation_prompt begins another. "
            "Send one of them.",
            param="add_generation_prompt",
        )
    last = body.messages[-1]
    if continued and (last.role != "assistant" or last.tool_calls or last.function_call):
        raise RequestError(
            "continue_final_message needs a last message of the assistant's, without calls, to go on with.",
            param="continue_final_message",
        )
    if continued and grammar_of(body) is not None:
        raise RequestError(
            "A format is that of a whole answer. Leave it out to go on with one.", param="continue_final_message"
        )
    return TemplateOptions(continued, opened is not False, body.chat_template_kwargs or {})
