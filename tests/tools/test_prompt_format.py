"""The text of tools must be what Qwen2.5 was trained on, to the character."""

from __future__ import annotations

from qwen_app.messages import Message, Tool, ToolCall
from qwen_app.tools.prompt_format import DEFAULT_SYSTEM, as_plain_messages

WEATHER = Tool(
    "get_weather", "Weather of a city 天气", {"type": "object", "properties": {"city": {"type": "string"}, "at": {}}}
)
SECTION = """

# Tools

You may call one or more functions to assist with the user query.

You are provided with function signatures within <tools></tools> XML tags:
<tools>
{"type": "function", "function": {"name": "get_weather", "description": "Weather of a city 天气", "parameters": \
{"type": "object", "properties": {"city": {"type": "string"}, "at": {}}}}}
</tools>

For each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:
<tool_call>
{"name": <function-name>, "arguments": <args-json-object>}
</tool_call>"""


def test_tools_go_to_the_end_of_the_system_text() -> None:
    system, user = Message("system", "Be brief."), Message("user", "Hi")
    assert as_plain_messages([system, user], [WEATHER]) == (Message("system", "Be brief." + SECTION), user)
    assert as_plain_messages([user], [WEATHER]) == (Message("system", DEFAULT_SYSTEM + SECTION), user)
    assert as_plain_messages([system, user], []) == (system, user)


def test_calls_and_results_become_text() -> None:
    first = ToolCall("1", "get_weather", '{"city": "Paris"}')
    second = ToolCall("2", "get_weather", '{"city":"Rome"}')
    conversation = [
        Message("user", "?"),
        Message("assistant", "Let me look.", (first, second)),
        Message("tool", "9 °C", tool_call_id="1"),
        Message("tool", "15 °C", tool_call_id="2"),
        Message("assistant", "", (first,)),
        Message("tool", "9 °C", tool_call_id="1"),
        Message("assistant", "Nine."),
    ]
    call = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call>'
    other = '<tool_call>\n{"name": "get_weather", "arguments": {"city":"Rome"}}\n</tool_call>'
    paris = "<tool_response>\n9 °C\n</tool_response>"
    assert as_plain_messages(conversation, []) == (
        Message("user", "?"),
        Message("assistant", f"Let me look.\n{call}\n{other}"),
        Message("user", f"{paris}\n<tool_response>\n15 °C\n</tool_response>"),
        Message("assistant", call),
        Message("user", paris),
        Message("assistant", "Nine."),
    )
