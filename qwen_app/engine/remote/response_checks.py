"""Whether an answer keeps what was asked of its form. Servers drop a schema or a forced call in silence; we do not."""

from __future__ import annotations

from qwen_app.engine.remote.tools_as_prompt import is_call_forced
from qwen_app.engine.remote.transcript import Transcript
from qwen_app.errors import UpstreamError
from qwen_app.messages import GenerationRequest, GrammarSpec, JsonObject, JsonSchema, Regex, StringChoice
from qwen_app.structured.validation import validate_text
from qwen_app.tools.messages import parsed_arguments


def check_response(request: GenerationRequest, transcript: Transcript, server: str) -> None:
    """Raises UpstreamError for an answer that came to its end and is not of the form that was asked for.

    An answer that was cut is only cut. A schema that is not strict is for whoever asked to check.
    """
    if transcript.reason == "length":
        return
    wrong = None
    if is_call_forced(request):
        wrong = _wrong_calls(request, transcript)
    elif request.grammar is not None and not transcript.calls:
        wrong = _wrong_text(request.grammar, transcript.partial_text)
    if wrong is not None:
        raise UpstreamError(f"{server} did not keep to the form that was asked for. {wrong}")


def _wrong_calls(request: GenerationRequest, transcript: Transcript) -> str | None:
    if not transcript.calls:
        return "It called no tool."
    for call in transcript.calls.values():
        if request.tool_choice.name not in (None, call.name):
            return f"It called {call.name} instead of {request.tool_choice.name}."
        if parsed_arguments(call) is None:
            return f"The arguments of its call of {call.name} are no JSON object."
    return None


def _wrong_text(spec: GrammarSpec, text: str) -> str | None:
    """A regex is not checked: the servers' dialects of it are not Python's."""
    match spec:
        case JsonObject():
            return validate_text(text, {"type": "object"})
        case JsonSchema(schema, strict):
            return validate_text(text, schema) if strict else None
        case StringChoice(options):
            return None if text in options else "The answer is none of the choices."
        case Regex():
            return None
