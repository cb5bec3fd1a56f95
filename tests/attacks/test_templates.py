"""A chat template that loops or swells is refused: at the start where it always does, else for the one conversation.

Answers to templates as weapons (CVE-2026-5760 and the like, where a model's template ran code) in the form that a
sandbox alone leaves open: endless work, and text that doubles until the memory is full.
"""

from __future__ import annotations

import json
import os

import psutil
import pytest
from jinja2 import TemplateError
from transformers import PreTrainedTokenizerFast
from transformers.utils.chat_template_utils import render_jinja_template

from qwen_app.chat.bounded_template import BoundedTemplate, TemplateTooCostly
from qwen_app.chat.template import PromptEncoder
from qwen_app.errors import ModelFilesError, RequestError
from qwen_app.messages import Message, TemplateOptions
from tests.qwen_vocabulary import qwen_tokenizer

SWELL_BYTES = 600 * 2**20
MESSAGES = [{"role": "user", "content": "x"}]
DOUBLING = "{% set ns = namespace(x='aa') %}{% for i in range(60) %}{% set ns.x = OPERATION %}{% endfor %}"
DOUBLING_LISTS = DOUBLING.replace("range(60)", "range(22)").replace("OPERATION", "[ns.x, ns.x]")
HOSTILE = {
    "loops in loops": "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
    "loops with text": "{% for a in range(99999) %}{% for b in range(99999) %}a{% endfor %}{% endfor %}",
    "macros that call themselves twice": "{% macro f() %}{{ f() }}{{ f() }}{% endmacro %}{{ f() }}",
    "macros that double": "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}",
    "a recursive loop": "{% for a in [[1]] recursive %}{{ loop([a, a]) }}{% endfor %}",
    "a repeated text": "{{ 'a' * 1000000000 }}",
    "a repeated list": "{{ ([0] * 1000000000) | length }}",
    "a text that doubles, joined": DOUBLING.replace("OPERATION", "ns.x ~ ns.x"),
    "a text that doubles, added": DOUBLING.replace("OPERATION", "ns.x + ns.x"),
    "a text that doubles, multiplied": DOUBLING.replace("OPERATION", "ns.x * 2"),
    "a text that doubles, replaced": DOUBLING.replace("OPERATION", "ns.x | replace('a', 'aaa')"),
    "a text that doubles, by its method": DOUBLING.replace("OPERATION", "ns.x.replace('a', 'aaa')"),
    "a text that doubles, formatted": DOUBLING.replace("OPERATION", "'%s%s' % (ns.x, ns.x)"),
    "a text that doubles, by format": DOUBLING.replace("OPERATION", "'{0}{0}'.format(ns.x)"),
    "a text that doubles, joined in a list": DOUBLING.replace("OPERATION", "[ns.x, ns.x] | join"),
    "a text that squares": DOUBLING.replace("OPERATION", "ns.x.join(ns.x | list)"),
    "a list that doubles": DOUBLING_LISTS + "{{ ns.x }}",
    "a list that doubles, as JSON": DOUBLING_LISTS + "{{ ns.x | tojson }}",
    "a list that doubles, compared": DOUBLING_LISTS + "{{ ns.x == [1] }}",
    "a wide format": "{{ '%1000000000d' % 1 }}",
    "a format that is told its width": "{{ '%*d' % (1000000000, 1) }}",
    "a wide format of the method": "{{ '{:1000000000}'.format(1) }}",
    "a wide filter of format": "{{ '%1000000000d' | format(1) }}",
    "powers": "{{ 9 ** (9 ** 8) }}",
    "powers of powers": "{% set ns = namespace(x=9) %}{% for i in range(90) %}{% set ns.x = ns.x * ns.x %}{% endfor %}",
    "a wide centre": "{{ 'a' | center(1000000000) }}",
    "a wide method": "{{ 'a'.ljust(1000000000) }}",
    "zeros": "{{ '1'.zfill(1000000000) }}",
    "tabs": "{{ ('\t' * 100000).expandtabs(100000) }}",
    "an indent": "{{ ('a\n' * 100000) | indent(100000) }}",
    "an indent of text": "{{ ('a\n' * 100000) | indent('a' * 100000) }}",
    "indented JSON": "{{ [1, [2]] | tojson(indent=1000000000) }}",
    "batches that are filled": "{{ [1] | batch(1000000000, 0) | list | length }}",
    "made-up text": "{{ lipsum(n=1000000) }}",
}


def held_bytes() -> int:
    return int(psutil.Process(os.getpid()).memory_info().rss)


def encoder_of(template: str) -> PromptEncoder:
    return PromptEncoder(PreTrainedTokenizerFast(tokenizer_object=qwen_tokenizer(), chat_template=template))


@pytest.mark.parametrize("name", HOSTILE)
def test_a_template_that_loops_or_swells_is_refused(name: str) -> None:
    before = held_bytes()
    with pytest.raises(TemplateError):
        BoundedTemplate(HOSTILE[name]).render({"messages": MESSAGES})
    assert held_bytes() - before < SWELL_BYTES


def test_one_that_always_does_is_refused_at_the_start() -> None:
    for template in (HOSTILE["loops in loops"], HOSTILE["a repeated text"], "{% for"):
        with pytest.raises(ModelFilesError, match="chat template cannot be used") as refused:
            encoder_of(template)
        assert refused.value.exit_code == 3


def test_one_that_does_so_for_one_conversation_costs_that_conversation() -> None:
    encoder = encoder_of("{% if 'bomb' in messages[0].content %}" + HOSTILE["loops in loops"] + "{% endif %}fine")
    with pytest.raises(RequestError, match="does too much"):
        encoder.encode([Message("user", "a bomb")])
    assert encoder.encode([Message("user", "x")])


def test_what_a_visitor_gives_it_swells_no_further_than_its_own_length() -> None:
    encoder = encoder_of("{{ messages[0].content.replace('a', filling) }}")
    with pytest.raises(RequestError, match="does too much"):
        encoder.encode(
            [Message("user", "a" * 100_000)], options=TemplateOptions(variables={"filling": "b" * 1_000_000})
        )


def test_long_conversations_are_paid_for() -> None:
    """Among the largest that a request can hold, with a template of the usual kind."""
    template = (
        "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content | trim + '<|im_end|>' }}{% endfor %}"
    )
    messages = [{"role": "user", "content": "word " * 200_000}] * 4 + [{"role": "user", "content": "x"}] * 20_000
    assert len(BoundedTemplate(template).render({"messages": messages})) > 4_000_000


TEMPLATES = [
    "{% for m in messages %}{{ loop.index }}/{{ loop.length }} {{ m.role }}: {{ m['content'] | trim }}\n{% endfor %}",
    "{%- if tools %}{{ tools | tojson(indent=2) }}{% else %}none{% endif -%}\n{{ bos_token }}{{ messages[0].content }}",
    "{% set ns = namespace(found=false) %}{% for m in messages[::-1] if not ns.found %}{% set ns.found = true %}"
    "{{ loop.last }}{{ m.content.split('</think>')[-1].lstrip('\n') ~ 1 ~ none }}{% break %}{% endfor %}",
    "{% macro say(m, n=1) %}{{ m.content * n }}{% endmacro %}{{ say(messages[0], 3) }}",
    "{% generation %}{{ messages[0].content }}{% endgeneration %}",
    "{{ messages | map(attribute='content') | join(', ') }}{{ '%s-%d' | format('a', 7) }}",
    "{{ dict(a=1).items() | list }}",
    "{{ messages | selectattr('role', 'equalto', 'user') | list | length }}{{ 7 // 2 }}",
    "{{ 'a' in 'abc' }}{{ x is defined }}",
    "{% for k, v in {'b': 1, 'a': [1.5, true]} | dictsort %}{{ k }}{{ v }}{{ loop.previtem }}{% else %}no{% endfor %}",
    "  {% if true %}\n  kept\n  {% endif %}\n{# gone #}{{ '<&>' | tojson }}{{ '{}'.format(3) }}{{ 'é' | tojson }}",
]


@pytest.mark.parametrize("template", TEMPLATES)
def test_honest_templates_are_rendered_as_transformers_does(template: str) -> None:
    messages = [{"role": "system", "content": " a\n"}, {"role": "user", "content": "b</think>\nc 🙂"}]
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
    for shown in (None, tools):
        rendered = render_jinja_template(
            [json.loads(json.dumps(messages))], tools=shown, chat_template=template, bos_token="<s>"
        )
        values = {"messages": messages, "tools": shown, "documents": None, "add_generation_prompt": False}
        assert BoundedTemplate(template).render({**values, "bos_token": "<s>"}) == rendered[0][0]


def test_its_price_is_told_apart_from_what_it_refuses() -> None:
    with pytest.raises(TemplateTooCostly, match="does too much"):
        BoundedTemplate(HOSTILE["loops in loops"]).render({"messages": MESSAGES})
