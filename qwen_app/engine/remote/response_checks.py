"""Whether an answer keeps what was asked of its form. Servers drop a schema or a forced call in silence; we do not.

What the limit cut is ended here too, from its text alone: a document by the shortest end that its schema allows.
"""

from __future__ import annotations

from qwen_app.engine.remote.tools_as_prompt import is_call_forced
from qwen_app.engine.remote.transcript import Transcript
from qwen_app.errors import RequestError, UpstreamError
from qwen_app.messages import (
    Delta,
    GenerationRequest,
    GrammarSpec,
    JsonObject,
    JsonSchema,
    Regex,
    StringChoice,
    ToolCallDelta,
)
from qwen_app.sandbox.checks import checks
from qwen_app.tools.messages import parsed_arguments

NO_ROOM_FOR_CALL = "The limit cut the answer before it called a tool. Allow more tokens."
NO_ROOM_FOR_ANSWER = "The limit cut the answer while the model was still thinking. Allow more tokens."


async def check_response(request: GenerationRequest, transcript: Transcript, server: str) -> None:
    """Raises UpstreamError for an answer that came to its end and is not of the form that was asked for.

    An answer that was cut is only cut, unless it has nothing of the call or the document that it was for: then it
    raises RequestError, since more tokens are what it takes. A schema that is not strict, of an answer or of a tool,
    is for whoever asked to check.
    """
    if transcript.reason == "length":
        if is_call_forced(request) and not transcript.calls:
            raise RequestError(NO_ROOM_FOR_CALL, param="max_tokens")
        if request.grammar is not None and transcript.only_thinks:
            raise RequestError(NO_ROOM_FOR_ANSWER, param="max_tokens")
        return
    wrong = None
    if is_call_forced(request):
        wrong = _wrong_calls(request, transcript)
    elif request.grammar is not None and not transcript.calls:
        wrong = await _wrong_text(request.grammar, transcript.partial_text, request.user)
    wrong = wrong or await _call_off_its_schema(request, transcript)
    if wrong is not None:
        raise UpstreamError(f"{server} did not keep to the form that was asked for. {wrong}")


async def ending_of(request: GenerationRequest, transcript: Transcript) -> Delta | ToolCallDelta | None:
    """What makes whole what was cut: a document, or a call where the request asks for that. None where it is whole, or
    nothing makes it so."""
    if transcript.calls:
        ending = await _rest_of_call(request, transcript) if request.close_cut_calls else ""
        return transcript.end_call(ending) if ending else None
    text = transcript.partial_text
    if request.grammar is None or not (text or transcript.reason):  # out of time before the first word
        return None
    ending = await _rest_of(text, request.grammar, request.user)
    return Delta(ending) if ending else None


async def _rest_of_call(request: GenerationRequest, transcript: Transcript) -> str:
    call = transcript.calls[max(transcript.calls)]
    schema = next((tool.parameters for tool in request.tools if tool.name == call.name), None)
    if schema is None or parsed_arguments(call) is not None:
        return ""
    return await _rest_of(call.arguments, JsonSchema({**schema, "type": "object"}, strict=False), request.user)


async def _rest_of(text: str, grammar: GrammarSpec, user: str) -> str:
    try:
        return await checks().complete(text, grammar, user=user)
    except RequestError:  # it took too long: the answer stays as it was cut
        return ""


def _wrong_calls(request: GenerationRequest, transcript: Transcript) -> str | None:
    if not transcript.calls:
        return "It called no tool."
    for call in transcript.calls.values():
        if request.tool_choice.name not in (None, call.name):
            return f"It called {call.name} instead of {request.tool_choice.name}."
        if parsed_arguments(call) is None:
            return f"The arguments of its call of {call.name} are no JSON object."
    return None


async def _call_off_its_schema(request: GenerationRequest, transcript: Transcript) -> str | None:
    """What is wrong with a call of a strict tool, whether it was forced or not."""
    strict = {tool.name: tool.parameters for tool in request.tools if tool.strict}
    for call in transcript.calls.values():
        if call.name in strict:
            problem = await checks().validate(call.arguments, strict[call.name], user=request.user)
            if problem is not None:
                return f"Its call of {call.name} does not keep to the tool's schema: {problem}"
    return None


async def _wrong_text(spec: GrammarSpec, text: str, user: str) -> str | None:
    """A regex is not checked: the servers' dialects of it are not Python's."""
    match spec:
        case JsonObject():
            return await checks().validate(text, {"type": "object"}, user=user)
        case JsonSchema(schema, strict):
            return await checks().validate(text, schema, user=user) if strict else None
        case StringChoice(options):
            return None if text in options else "The answer is none of the choices."
        case Regex():
            return None
