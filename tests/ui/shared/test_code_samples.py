"""Copied code is run: whatever text is in a request, the program sends exactly that request."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qwen_app.ui.shared import code_samples
from tests.examples import examples

URL = "http://127.0.0.1:7860/v1"
NASTY = (
    'it\'s "quoted" \\ `x` $HOME ${y} $(z) \n\t\r</script> JSON\nEOF \'\'\'triple"""'
    " 中文 😀 \u2028 \x07 \ud800 %s {0} #"
)
BODY: dict[str, Any] = {
    "model": "default",
    "messages": [{"role": "user", "content": NASTY}],
    "temperature": 0.7,
    "top_p": 0.8,
    "max_tokens": 256,
    "seed": None,
    "response_format": {
        "type": "json_schema",
        "json_schema": {
            "name": "x",
            "strict": True,
            "schema": {"type": "object", "properties": {"__proto__": {"const": '"__proto__": 1'}, "a'b": {}}},
        },
    },
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
    "tool_choice": {"type": "function", "function": {"name": "f"}},
    "top_k": 20,
    "repetition_penalty": 1.05,
}

PYTHON_STUB = """
import json
class Create:
    def create(self, **given):
        extra = given.pop("extra_body", {})
        print(json.dumps({**given, **extra}, sort_keys=True))
        raise SystemExit
class OpenAI:
    def __init__(self, base_url, api_key):
        self.chat = type("Chat", (), {"completions": Create()})
"""
JAVASCRIPT_STUB = """
export default class {
  constructor(options) {
    const create = async (body) => { process.stdout.write(JSON.stringify(body)); process.exit(0); };
    this.chat = { completions: { create } };
  }
}
"""


def run(command: list[str], folder: Path) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        env={"PATH": "/usr/bin:/bin", "QWEN_API_KEY": "k"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("needs_key", [True, False])
def test_curl_sends_the_request(tmp_path: Path, needs_key: bool) -> None:
    script = tmp_path / "sample.sh"
    script.write_text('curl() { printf "%s\\0" "$@"; }\n' + code_samples.curl(URL, BODY, needs_key=needs_key))
    run(["bash", "-n", str(script)], tmp_path)
    arguments = run(["bash", str(script)], tmp_path).split("\0")
    assert arguments[0] == f"{URL}/chat/completions"
    assert json.loads(arguments[arguments.index("-d") + 1]) == BODY
    assert ("Authorization: Bearer k" in arguments) == needs_key


@pytest.mark.parametrize("needs_key", [True, False])
def test_python_sends_the_request(tmp_path: Path, needs_key: bool) -> None:
    (tmp_path / "openai.py").write_text(PYTHON_STUB)
    (tmp_path / "sample.py").write_text(code_samples.python(URL, BODY, needs_key=needs_key), encoding="utf-8")
    assert json.loads(run([sys.executable, "sample.py"], tmp_path)) == BODY


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node to run JavaScript")
@pytest.mark.parametrize("needs_key", [True, False])
def test_javascript_sends_the_request(tmp_path: Path, needs_key: bool) -> None:
    package = tmp_path / "node_modules" / "openai"
    package.mkdir(parents=True)
    (package / "package.json").write_text('{"name": "openai", "type": "module", "exports": "./index.js"}')
    (package / "index.js").write_text(JAVASCRIPT_STUB)
    sample = tmp_path / "sample.mjs"
    sample.write_text(code_samples.javascript(URL, BODY, needs_key=needs_key), encoding="utf-8")
    node = str(shutil.which("node"))
    run([node, "--check", str(sample)], tmp_path)
    assert json.loads(run([node, str(sample)], tmp_path)) == BODY


texts = st.text(max_size=30) | st.sampled_from([NASTY, "", "'", '"""', "\\", "\n"])
bodies = st.builds(
    lambda content, schema, stream: {
        "model": "default",
        "messages": [{"role": "user", "content": content}],
        "response_format": schema,
        "stream": stream,
        "min_p": 0.1,
    },
    texts,
    st.dictionaries(texts, texts | st.none() | st.booleans(), max_size=3),
    st.booleans(),
)


@given(bodies)
def test_python_is_well_formed_for_any_text(body: dict[str, Any]) -> None:
    tree = ast.parse(code_samples.python(URL, body, needs_key=False))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.keywords]
    creates = next(call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "create")
    given_to_create = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in creates.keywords}
    assert given_to_create.pop("extra_body") == {"min_p": 0.1}
    assert {**given_to_create, "min_p": 0.1} == body


@settings(max_examples=examples(25))
@given(body=bodies)
def test_curl_is_well_formed_for_any_text(body: dict[str, Any]) -> None:
    script = code_samples.curl(URL, body, needs_key=True)
    shown = subprocess.run(
        ["bash", "-c", 'curl() { printf "%s\\0" "$@"; }\n' + script],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout.split("\0")
    assert json.loads(shown[shown.index("-d") + 1]) == body


def test_streams_are_read_as_streams() -> None:
    body = {"model": "default", "messages": [], "stream": True}
    assert "for chunk in answer" in code_samples.python(URL, body, needs_key=False)
    assert "for await" in code_samples.javascript(URL, body, needs_key=False)
