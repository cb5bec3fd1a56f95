"""A request as code to copy: curl, Python and JavaScript, correct for any text in it."""

from __future__ import annotations

import json
import re
import shlex

from qwen_app.openai_format import RequestBody

# What the openai package knows as arguments of its own; the rest goes into extra_body.
OPENAI_ARGUMENTS = frozenset(
    (
        *("model", "messages", "temperature", "top_p", "max_tokens", "max_completion_tokens", "n", "stop", "seed"),
        *("presence_penalty", "frequency_penalty", "response_format", "tools", "tool_choice", "parallel_tool_calls"),
        *("stream", "stream_options", "logprobs", "top_logprobs", "user"),
    )
)
PYTHON_WIDTH = 88  # of a line
KEY_VARIABLE = "QWEN_API_KEY"
PROTO_KEY = re.compile(r'(?<!\\)"__proto__":')


def curl(base_url: str, body: RequestBody, *, needs_key: bool) -> str:
    """A shell command. ``base_url`` ends in ``/v1``; ``body`` is the JSON body of ``/chat/completions``."""
    lines = [
        f"curl {shlex.quote(base_url + '/chat/completions')}",
        "-H 'Content-Type: application/json'",
        *([f'-H "Authorization: Bearer ${KEY_VARIABLE}"'] if needs_key else []),
        f"-d {shlex.quote(_json(body))}",
    ]
    return " \\\n  ".join(lines) + "\n"


def python(base_url: str, body: RequestBody, *, needs_key: bool) -> str:
    """A Python program for the openai package."""
    key = f'os.environ["{KEY_VARIABLE}"]' if needs_key else '"none"'
    own = {name: value for name, value in body.items() if name in OPENAI_ARGUMENTS}
    extra = {name: value for name, value in body.items() if name not in OPENAI_ARGUMENTS}
    arguments = [*own.items(), *([("extra_body", extra)] if extra else [])]
    lines = [
        "# pip install openai",
        *(["import os", ""] if needs_key else []),
        "from openai import OpenAI",
        "",
        f"client = OpenAI(base_url={_python_string(base_url)}, api_key={key})",
        "answer = client.chat.completions.create(",
        *(_python_argument(name, value) for name, value in arguments),
        ")",
        *_python_use(body),
    ]
    return "\n".join(lines) + "\n"


def _python_argument(name: str, value: object) -> str:
    return f"    {name}={_python_literal(value, indent=4)},"


def _python_literal(value: object, indent: int) -> str:
    """``value``, which is JSON, as Python is commonly written: in one line where it fits, else an entry a line."""
    line = _python_line(value)
    if len(line) <= PYTHON_WIDTH - indent or not isinstance(value, dict | list | tuple):
        return line
    left, right = "{}" if isinstance(value, dict) else "[]"
    names = [f"{_python_string(name)}: " for name in value] if isinstance(value, dict) else [""] * len(value)
    entries = value.values() if isinstance(value, dict) else value
    inner = " " * (indent + 4)
    lines = [
        f"{inner}{name}{_python_literal(entry, indent + 4)},\n" for name, entry in zip(names, entries, strict=True)
    ]
    return f"{left}\n{''.join(lines)}{' ' * indent}{right}"


def _python_line(value: object) -> str:
    if isinstance(value, str):
        return _python_string(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_python_string(name)}: {_python_line(entry)}" for name, entry in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_python_line, value)) + "]"
    return repr(value)


def _python_string(text: str) -> str:
    """In double quotes; characters stay readable unless they cannot be written in UTF-8 (half a surrogate pair)."""
    quoted = json.dumps(text, ensure_ascii=False)
    return re.sub(r"[\ud800-\udfff]", lambda half: f"\\u{ord(half[0]):04x}", quoted)


def _python_use(body: RequestBody) -> list[str]:
    if body.get("stream"):
        return [
            "for chunk in answer:",
            "    if chunk.choices and chunk.choices[0].delta.content:",
            '        print(chunk.choices[0].delta.content, end="", flush=True)',
        ]
    if body.get("tools"):
        return [
            "message = answer.choices[0].message",
            "for call in message.tool_calls or []:",
            "    print(call.function.name, call.function.arguments)",
            "print(message.content)",
        ]
    return ["print(answer.choices[0].message.content)"]


def javascript(base_url: str, body: RequestBody, *, needs_key: bool) -> str:
    """A JavaScript module for the openai package."""
    key = f"process.env.{KEY_VARIABLE}" if needs_key else '"none"'
    lines = [
        "// npm install openai",
        'import OpenAI from "openai";',
        "",
        f"const client = new OpenAI({{ baseURL: {json.dumps(base_url)}, apiKey: {key} }});",
        f"const answer = await client.chat.completions.create({_javascript_literal(body)});",
        *_javascript_use(body),
    ]
    return "\n".join(lines) + "\n"


def _javascript_use(body: RequestBody) -> list[str]:
    if body.get("stream"):
        return [
            "for await (const chunk of answer) {",
            '  process.stdout.write(chunk.choices[0]?.delta?.content ?? "");',
            "}",
        ]
    if body.get("tools"):
        return [
            "const message = answer.choices[0].message;",
            "for (const call of message.tool_calls ?? []) {",
            "  console.log(call.function.name, call.function.arguments);",
            "}",
            "console.log(message.content);",
        ]
    return ["console.log(answer.choices[0].message.content);"]


def _javascript_literal(value: object) -> str:
    """JSON is a JavaScript literal but for one key, which would set the prototype."""
    return PROTO_KEY.sub('["__proto__"]:', _json(value))


def _json(value: object) -> str:
    """Indented JSON; characters stay readable unless some cannot be written in UTF-8 (half a surrogate pair)."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, indent=2)
    return text
