"""A wrong base URL is told from a missing server: the answer names the right one."""

from __future__ import annotations

import openai
import pytest

from tests.api.anthropic.claude_sdk import ask
from tests.api.sdk import MESSAGES
from tests.api.serving import Api


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "path",
    [
        *("/chat/completions", "/completions", "/models", "/models/x", "/responses", "/v1/v1/chat/completions"),
        *("/v1/chat/completions/chat/completions", "/v1/v1/models", "/api/v1/chat/completions", "/v1/v1/responses/"),
        *(
            "/openai/v1/chat/completions",
            "/openai/deployments/x/chat/completions",
            "/V1/models",
            "/engines/x/completions",
        ),
        *("/compatible-mode/v1/chat/completions", "/inference/v1/completions", "/v1beta/openai/chat/completions"),
    ],
)
def test_openais_base_url_is_named(scripted_api: Api, method: str, path: str) -> None:
    response = scripted_api.request(method, path)
    error = response.json()["error"]
    assert (response.status_code, error["type"]) == (404, "invalid_request_error")
    assert f"base URL is {scripted_api.url}/v1" in error["message"]


@pytest.mark.parametrize(
    "path", ["/v1/chat/completions/", "/v1/models/", "/v1/messages/", "/v1/messages/count_tokens/", "/v1/embeddings/"]
)
def test_a_slash_too_many_is_named(scripted_api: Api, path: str) -> None:
    response = scripted_api.request("GET" if path == "/v1/models/" else "POST", path)
    assert response.status_code == 404
    assert response.json()["error"]["message"] == f"There is nothing at {path}. Leave out the slash at its end."


@pytest.mark.parametrize("path", ["/messages", "/v1/v1/messages", "/v1/v1/messages/count_tokens"])
def test_anthropics_base_url_is_named(scripted_api: Api, path: str) -> None:
    response = scripted_api.post(path, ask())
    assert response.status_code == 404
    assert response.json()["error"]["message"].endswith(f"base URL is {scripted_api.url}")


def test_the_sdk_shows_it(scripted_api: Api) -> None:
    named = pytest.raises(openai.NotFoundError, match=f"base URL is {scripted_api.url}/v1")
    with openai.OpenAI(base_url=scripted_api.url, api_key="none", max_retries=0) as client, named:
        client.chat.completions.create(model="default", messages=MESSAGES)


@pytest.mark.parametrize("path", ["/api", "/api/chat", "/api/tags", "/api/generate", "/api/show", "/api/embeddings"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_ollamas_clients_are_told_in_their_own_shape(scripted_api: Api, method: str, path: str) -> None:
    response = scripted_api.request(method, path)
    assert response.status_code == 404
    assert response.json() == {
        "error": f"Ollama's API is not spoken here. Use OpenAI's API: its base URL is {scripted_api.url}/v1"
    }


@pytest.mark.parametrize("path", ["/v1/embeddings", "/v1/rerank", "/v1/audio/speech", "/images/edits"])
def test_what_no_model_here_does(scripted_api: Api, path: str) -> None:
    response = scripted_api.post(path, {"model": "default", "input": "x"})
    assert response.status_code == 404
    assert response.json()["error"]["message"].startswith("This server has no model that ")


@pytest.mark.parametrize(
    ("method", "path", "instead"),
    [
        ("GET", "/v1/responses/resp_1", "Send the whole conversation"),
        ("POST", "/v1/responses/resp_1/cancel", "Send the whole conversation"),
        ("POST", "/v1/responses/input_tokens", "POST /tokenize"),
        ("DELETE", "/v1/files/file_1", "/v1/vector_stores/{id}/files"),
        ("POST", "/v1/conversations", "Send all of it"),
        ("POST", "/v1/assistants", "instructions and tools"),
        ("POST", "/v1/threads/thread_1/runs", "Send the whole conversation"),
        ("POST", "/v1/batches", "one by one"),
        ("GET", "/v1/messages/batches/b", "one by one"),
    ],
)
def test_what_is_not_kept_is_said_with_what_to_do_instead(
    scripted_api: Api, method: str, path: str, instead: str
) -> None:
    response = scripted_api.request(method, path)
    assert response.status_code == 404
    assert instead in response.json()["error"]["message"]


@pytest.mark.parametrize("path", ["/v1/vector_stores/vs_1/files/f_1/content", "/v1/vector_stores/vs_1/search/models"])
def test_a_path_below_one_of_ours_is_not_taken_for_a_wrong_base_url(scripted_api: Api, path: str) -> None:
    message = scripted_api.request("GET", path).json()["error"]["message"]
    assert message == f"There is nothing at {path}. The API's paths are listed at /v1/docs."
