"""No value of any parameter is the server's fault: it is answered or refused, and never a 500."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.api.serving import CHAT, Api

ODD = (
    *("NaN", "Infinity", "-Infinity", "1e999", "-1e999", "9223372036854775807", "9223372036854775808"),
    *("-9223372036854775809", "1" + "0" * 60, "-1", "0", "-0.0", "1e-320", "0.1", "2147483647", "2147483648"),
    *("true", "false", "null", '""', '"1"', '"\\ud800"', '"\\u0000"', "[]", "[null]", "[[]]", "{}", '{"": null}'),
)
SAMPLING = (
    *("temperature", "top_p", "top_k", "min_p", "presence_penalty", "frequency_penalty", "repetition_penalty", "seed"),
    *("n", "max_tokens", "stop", "stream", "stream_options", "user", "model", "logprobs", "top_logprobs"),
)
FIELDS: dict[str, tuple[str, tuple[str, ...]]] = {
    CHAT: (
        '"model": "default", "messages": [{"role": "user", "content": "x"}]',
        (*SAMPLING, "max_completion_tokens", "tools", "tool_choice", "response_format", "messages", "truncation"),
    ),
    "/v1/completions": ('"model": "default", "prompt": "x"', (*SAMPLING, "prompt", "echo", "suffix", "best_of")),
    "/v1/responses": (
        '"model": "default", "input": "x"',
        (
            *SAMPLING,
            "input",
            "instructions",
            "max_output_tokens",
            "text",
            "tools",
            "tool_choice",
            "include",
            "metadata",
        ),
    ),
    "/tokenize": ('"model": "default"', ("prompt", "content", "messages", "tools", "model")),
    "/detokenize": ('"model": "default"', ("tokens", "model")),
}


@pytest.mark.slow
@pytest.mark.parametrize("path", FIELDS)
def test_no_value_is_a_500(scripted_api: Api, path: str) -> None:
    rest, names = FIELDS[path]

    def send(body: str) -> None:
        response = scripted_api.request(
            "POST", path, content=body.encode(), headers={"content-type": "application/json"}
        )
        assert response.status_code < 500, (body, response.text)
        if response.status_code >= 400:
            assert json.loads(response.text)["error"]["message"]

    bodies = []
    for name in names:
        kept = "".join(f"{part}, " for part in rest.split(", ", 1) if not part.startswith(f'"{name}"'))
        bodies += [f'{{{kept}"{name}": {value}}}' for value in ODD]
    with ThreadPoolExecutor(8) as pool:  # a request waits more than it works
        list(pool.map(send, bodies))
