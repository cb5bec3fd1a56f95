from __future__ import annotations

import json

from qwen_app.api.protocol.request_bodies import ChatRequest
from qwen_app.messages import GrammarSpec, Message, SamplingParams, Tool, ToolCall, ToolChoice
from qwen_app.ui.shared.openai_body import openai_body

SAMPLING = SamplingParams(temperature=0.3, top_p=0.8, max_tokens=20, seed=7)
ASKED = [Message("user", "Hi")]


def test_what_was_set_and_nothing_else() -> None:
    body = openai_body("m", ASKED, SAMPLING)
    assert body == {
        "model": "m",
        "messages": [{"role": "user", "content": "Hi"}],
        "temperature": 0.3,
        "top_p": 0.8,
        "max_tokens": 20,
        "seed": 7,
    }


def test_a_random_seed_is_left_out() -> None:
    assert "seed" not in openai_body("m", ASKED, SamplingParams())


def test_formats_keep_the_order_of_keys() -> None:
    schema = '{"properties": {"z": {}, "a": {}}, "type": "object"}'
    body = openai_body("m", ASKED, SAMPLING, grammar=GrammarSpec("json_schema", schema, strict=False))
    sent = body["response_format"]["json_schema"]
    assert json.dumps(sent["schema"]) == schema
    assert sent["strict"] is False
    assert openai_body("m", ASKED, SAMPLING, grammar=GrammarSpec("json_object"))["response_format"] == {
        "type": "json_object"
    }


def test_the_api_reads_it_back() -> None:
    call = ToolCall("c1", "add", '{"a": 1}')
    messages = [*ASKED, Message("assistant", "", (call,)), Message("tool", "2", tool_call_id="c1")]
    tools = [Tool("add", "Add."), Tool("loose", strict=False)]
    for choice in (ToolChoice("required"), ToolChoice("named", "add"), ToolChoice("none"), ToolChoice()):
        body = openai_body("m", messages, SAMPLING, tools=tools, choice=choice)
        read = ChatRequest.model_validate(body)
        assert read.tools is not None
        assert [tool.function.strict is not False for tool in read.tools] == [True, False]
    assert "tool_choice" not in openai_body("m", messages, SAMPLING, choice=ToolChoice("required"))
