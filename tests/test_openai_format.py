from __future__ import annotations

import json

import pytest

from qwen_app.api.protocol.request_bodies import ChatRequest
from qwen_app.errors import SchemaError
from qwen_app.messages import (
    JsonObject,
    JsonSchema,
    Message,
    Regex,
    SamplingParams,
    StringChoice,
    Tool,
    ToolCall,
    ToolChoice,
)
from qwen_app.openai_format import message_body, openai_body, response_format, tool_body

SAMPLING = SamplingParams(temperature=0.3, top_p=0.8, max_tokens=20, seed=7)
QUESTION = [Message("user", "Hi")]


def test_what_was_set_and_nothing_else() -> None:
    body = openai_body("m", QUESTION, SAMPLING)
    assert body == {
        "model": "m",
        "messages": [{"role": "user", "content": "Hi"}],
        "temperature": 0.3,
        "top_p": 0.8,
        "max_tokens": 20,
        "seed": 7,
    }


def test_a_random_seed_is_left_out() -> None:
    assert "seed" not in openai_body("m", QUESTION, SamplingParams())


def test_formats_keep_the_order_of_keys() -> None:
    schema = '{"properties": {"z": {}, "a": {}}, "type": "object"}'
    body = openai_body("m", QUESTION, SAMPLING, grammar=JsonSchema(json.loads(schema), strict=False))
    sent = body["response_format"]["json_schema"]
    assert json.dumps(sent["schema"]) == schema
    assert sent["strict"] is False
    assert openai_body("m", QUESTION, SAMPLING, grammar=JsonObject())["response_format"] == {"type": "json_object"}


def test_the_api_reads_it_back() -> None:
    call = ToolCall("c1", "add", '{"a": 1}')
    messages = [*QUESTION, Message("assistant", "", (call,)), Message("tool", "2", tool_call_id="c1")]
    tools = [Tool("add", "Add.", strict=True), Tool("loose")]
    for choice in (ToolChoice("required"), ToolChoice("named", "add"), ToolChoice("none"), ToolChoice()):
        body = openai_body("m", messages, SAMPLING, tools=tools, choice=choice)
        read = ChatRequest.model_validate(body)
        assert read.tools is not None
        assert [tool.function.strict is True for tool in read.tools] == [True, False]
    assert "tool_choice" not in openai_body("m", messages, SAMPLING, choice=ToolChoice("required"))


def test_a_message_that_is_nothing_but_calls_has_no_content() -> None:
    call = ToolCall("c1", "add", '{"a": 1}')
    assert message_body(Message("assistant", "", (call,))) == {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}],
    }


def test_strict_is_said_only_where_it_is_asked_for() -> None:
    tool = Tool("add", "Add.")
    assert "strict" not in tool_body(tool)["function"]
    assert tool_body(tool, strict=True)["function"]["strict"] is True


@pytest.mark.parametrize("grammar", [Regex("a+"), StringChoice(("a",))], ids=["regex", "choice"])
def test_a_form_that_openai_has_no_words_for_is_refused(grammar: Regex | StringChoice) -> None:
    with pytest.raises(SchemaError, match="no regex and no choice"):
        response_format(grammar)
