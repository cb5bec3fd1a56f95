"""Models that think: their templates find thoughts and leave them out, whatever is guarded or remembered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AddedToken, AutoTokenizer, PreTrainedTokenizerBase

from qwen_app.chat.template import PromptEncoder
from qwen_app.messages import Message, TemplateOptions, ToolCall
from tests.examples import examples

# What Qwen3's own template makes of the messages of a conversation.
QWEN3_TEMPLATE = r"""
{%- if tools %}{{ tools | tojson }}{% endif %}
{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step_tool and message.role == "user" and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.multi_step_tool = false %}
        {%- set ns.last_query_index = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system") %}
        {{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>' + '\n' }}
    {%- elif message.role == "assistant" %}
        {%- set content = message.content %}
        {%- set reasoning_content = '' %}
        {%- if message.reasoning_content is defined and message.reasoning_content is not none %}
            {%- set reasoning_content = message.reasoning_content %}
        {%- else %}
            {%- if '</think>' in message.content %}
                {%- set content = message.content.split('</think>')[-1].lstrip('\n') %}
                {%- set reasoning_content = message.content.split('</think>')[0].rstrip('\n').split('<think>')[-1].lstrip('\n') %}
            {%- endif %}
        {%- endif %}
        {%- if loop.index0 > ns.last_query_index and (loop.last or reasoning_content) %}
            {{- '<|im_start|>' + message.role + '\n<think>\n' + reasoning_content.strip('\n') + '\n</think>\n\n' + content.lstrip('\n') }}
        {%- else %}
            {{- '<|im_start|>' + message.role + '\n' + content }}
        {%- endif %}
        {%- for tool_call in message.tool_calls or [] %}
            {{- '\n<tool_call>\n' + tool_call.function.name + '\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\n' }}
    {%- elif message.role == "tool" %}
        {{- '<|im_start|>user\n<tool_response>\n' + message.content + '\n</tool_response><|im_end|>\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
{%- endif %}"""  # noqa: E501
# DeepSeek's distilled models: what stands behind the thoughts, its line breaks with it.
R1_TEMPLATE = """{%- for message in messages %}{%- set content = message.content %}
{%- if message.role == 'assistant' and '</think>' in content %}{%- set content = content.split('</think>')[-1] %}
{%- endif %}{{- '<|im_start|>' + message.role + content + '<|im_end|>' }}{%- endfor %}"""
TRIMMING_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content | trim }}<|im_end|>\n{% endfor %}"
)
# It joins what stands before a thought to what stands behind it, and takes switches out of all texts.
JOINING_TEMPLATE = """{%- for message in messages %}{%- set content = message.content.replace('/no_think', '').replace('/think', '') %}
{%- if '</think>' in content %}{%- set content = content.split('<think>')[0].rstrip() + content.split('</think>')[-1].lstrip() %}
{%- endif %}{{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>\\n' }}{%- endfor %}"""  # noqa: E501
NAMING_TEMPLATE = "{%- set end = '</think>' %}" + R1_TEMPLATE.replace("'</think>'", "end")
NAMED_JOINING_TEMPLATE = "{%- set switch = '/think' %}" + JOINING_TEMPLATE.replace("'/think'", "switch")
THOUGHT = "<think>\nTwo and two.\n</think>\n\n4"
CHAT = (Message("user", "2+2?"), Message("assistant", THOUGHT), Message("user", "And 3+3?"))

Thinking = Callable[[str], PreTrainedTokenizerBase]


@pytest.fixture(scope="module")
def thinking(tiny_qwen_dir: Path) -> Thinking:
    """Makes a tokenizer that has tokens for thoughts, with a template."""

    def make(template: str) -> PreTrainedTokenizerBase:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(tiny_qwen_dir)
        tokenizer.add_tokens([AddedToken(text, special=False, normalized=False) for text in ("<think>", "</think>")])
        tokenizer.chat_template = template
        return tokenizer

    return make


def transformers_own(tokenizer: PreTrainedTokenizerBase, messages: tuple[Message, ...]) -> list[int]:
    shown = []
    for message in messages:
        calls = [{"function": {"name": call.name}} for call in message.tool_calls]
        shown.append({"role": message.role, "content": message.content, "tool_calls": calls})
    return spelled_out(tokenizer, str(tokenizer.apply_chat_template(shown, add_generation_prompt=True, tokenize=False)))


def spelled_out(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    return [int(token_id) for token_id in tokenizer.encode(text, add_special_tokens=False)]


AGENT = (
    *CHAT[:2],
    Message("user", "And 3+3?"),
    Message("assistant", "<think>\nI ask.\n</think>\n\nLet me see.", (ToolCall("a", "sum", "{}"),)),
    Message("tool", "6", tool_call_id="a"),
)


@pytest.mark.parametrize(
    ("template", "messages", "shown_thoughts"),
    [
        (QWEN3_TEMPLATE, CHAT, 0),
        (QWEN3_TEMPLATE, CHAT[:2], 1),
        (QWEN3_TEMPLATE, AGENT[:4], 1),
        (QWEN3_TEMPLATE, AGENT, 1),
        (R1_TEMPLATE, CHAT, 0),
        (R1_TEMPLATE, CHAT[:2], 0),
        (NAMING_TEMPLATE, CHAT, 0),
    ],
    ids=["chat", "answer", "call", "agent", "r1 chat", "r1 answer", "named"],
)
@pytest.mark.parametrize("remembered", [False, True])
def test_thoughts_go_and_stay_as_the_template_says(
    thinking: Thinking, template: str, messages: tuple[Message, ...], shown_thoughts: int, remembered: bool
) -> None:
    tokenizer = thinking(template)
    encoder = PromptEncoder(tokenizer)
    if remembered:
        encoder.remember(THOUGHT, spelled_out(tokenizer, THOUGHT))
    expected = transformers_own(tokenizer, messages)
    assert encoder.encode(messages) == expected
    assert expected.count(tokenizer.convert_tokens_to_ids("</think>")) == shown_thoughts


@pytest.mark.parametrize("answer", ["4", "Hello there", "\n", "  <think is no tag", "<", "a</b>"])
@pytest.mark.parametrize("template", [QWEN3_TEMPLATE, R1_TEMPLATE, TRIMMING_TEMPLATE], ids=["qwen3", "r1", "trims"])
def test_answers_that_are_shown_whole_keep_their_ids(thinking: Thinking, template: str, answer: str) -> None:
    tokenizer = thinking(template)
    encoder = PromptEncoder(tokenizer)
    written = [7] * 12
    encoder.remember(answer, written)
    messages = (Message("user", "x"), Message("assistant", answer), Message("user", "y"))
    whole = template != TRIMMING_TEMPLATE or answer.strip() in (answer, "")
    ids = encoder.encode(messages)
    assert (ids[ids.index(7) :][:12] == written) if whole else (ids == transformers_own(tokenizer, messages))


def test_an_answer_that_is_trimmed_has_the_ids_of_what_is_left(thinking: Thinking) -> None:
    tokenizer = thinking(TRIMMING_TEMPLATE)
    encoder = PromptEncoder(tokenizer)
    messages = (Message("user", "x"), Message("assistant", " Yes.\n"), Message("user", "y"))
    encoder.remember(" Yes.\n", spelled_out(tokenizer, " Yes.\n"))
    assert encoder.encode(messages) == transformers_own(tokenizer, messages)


def test_a_thought_that_was_begun_is_gone_on_with_in_its_own_tokens(thinking: Thinking) -> None:
    tokenizer = thinking(JOINING_TEMPLATE)
    messages = (Message("user", "x"), Message("assistant", "<think>\nWell,"))
    ids = PromptEncoder(tokenizer).encode(messages, options=TemplateOptions(continue_final=True))
    assert ids[-len("\nWell,") - 1 :] == spelled_out(tokenizer, "<think>\nWell,")


def control_ids(tokenizer: PreTrainedTokenizerBase, ids: list[int]) -> list[int]:
    added = set(tokenizer.get_added_vocab().values())
    return [token_id for token_id in ids if token_id in added]


SPLIT_UP = st.lists(
    st.sampled_from(
        [
            *("<|im_", "start|>", "<", "|im_end|>", "<|im_end|", ">", "<th", "ink>", "</think", "x", "/thi", "nk"),
            *("<think>", "</think>", "/think", "/no_think", "<|im_start|>", "\n", " ", "\ue000", "\ue001"),
        ]
    ),
    max_size=12,
).map("".join)


@pytest.mark.parametrize("template", [QWEN3_TEMPLATE, R1_TEMPLATE, JOINING_TEMPLATE], ids=["qwen3", "r1", "joins"])
@settings(max_examples=examples(300))
@given(system=SPLIT_UP, user=SPLIT_UP, assistant=SPLIT_UP)
def test_what_a_template_joins_is_no_control_token(
    thinking: Thinking, template: str, system: str, user: str, assistant: str
) -> None:
    """But for thoughts in what assistants said, which are the model's own."""
    tokenizer = thinking(template)
    encoder = PromptEncoder(tokenizer)

    def controls(said: tuple[str, str, str]) -> list[int]:
        messages = (Message("system", said[0]), Message("user", said[1]), Message("assistant", said[2]))
        ids = control_ids(tokenizer, encoder.encode((*messages, Message("user", said[1]))))
        return [token_id for token_id in ids if token_id < min(thoughts)]

    thoughts = tokenizer.convert_tokens_to_ids(["<think>", "</think>"])
    assert controls((system, user, assistant)) == controls(("x", "x", "x"))
    if "think>" not in assistant:
        messages = (Message("system", system), Message("user", user), Message("user", user))
        assert not set(thoughts) & set(encoder.encode(messages))


@pytest.mark.parametrize("template", [JOINING_TEMPLATE, NAMED_JOINING_TEMPLATE], ids=["joins", "named"])
def test_one_message_with_a_token_cut_in_two_by_a_switch(thinking: Thinking, template: str) -> None:
    tokenizer = thinking(template)
    for text in ("<|im_/thinkstart|>", "<|im_/thi/no_thinknkstart|>", "</no_think|im_start|>"):
        ids = PromptEncoder(tokenizer).encode([Message("user", text)])
        assert len(control_ids(tokenizer, ids)) == 2
        assert "<|im_start|>user\n<|im_start|><|im_end|>" in tokenizer.decode(ids)
