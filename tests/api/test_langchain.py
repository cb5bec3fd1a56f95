"""langchain-tests' integration suite for chat models, with langchain-openai as the client.

It runs twice. On a scripted stand-in for a clever model all of it runs that a text model can do: what is under test is
the API and how LangChain reads it. On the built-in model run the tests that need no cleverness; its classes leave out
tool calling and structured output, whose tests ask for particular arguments, since 135 M parameters do not get them
right. Both leave out images, audio, video and PDFs, because the models read text alone, Anthropic's content blocks,
because this is OpenAI's API, and recorded traffic, because the server is real.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import openai
import pytest
from langchain_core.language_models import BaseChatModel
from langchain_openai import ChatOpenAI
from langchain_tests.integration_tests import ChatModelIntegrationTests

from tests.api.serving import Api

pytestmark = [
    pytest.mark.slow,
    pytest.mark.anyio,  # the suite's async tests carry no mark of their own
    # it tests classes of Pydantic 1 too, for which the client itself changes over to tool calls
    pytest.mark.filterwarnings("ignore:Received a Pydantic BaseModel V1 schema:UserWarning"),
    # the client's own copy of the SDK's answer holds a parsed object where its type says there is none
    pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning"),
]


class OurModel(ChatModelIntegrationTests):
    __test__ = False
    api: Api
    max_tokens = 200
    clients: dict[str, Any]

    @pytest.fixture(autouse=True)
    def _closed_clients(self) -> Iterator[None]:
        """LangChain's own clients stay open for good; the async one is made to keep no connection."""
        alone = httpx2.Limits(max_keepalive_connections=0)
        with openai.DefaultHttpxClient() as client:
            self.clients = {"http_client": client, "http_async_client": openai.DefaultAsyncHttpxClient(limits=alone)}
            yield

    @pytest.fixture
    def benchmark(self) -> None:
        """Asked for, with the next one, by the test of recorded traffic, which is left out."""

    @pytest.fixture
    def vcr(self) -> None: ...

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatOpenAI

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {
            "model": "default",
            "base_url": f"{self.api.url}/v1",
            "api_key": "none",
            "temperature": 0,
            "max_tokens": self.max_tokens,
            "max_retries": 0,
            "stream_usage": True,
            **self.clients,
        }

    @property
    def supports_model_override(self) -> bool:
        return True

    @property
    def model_override_value(self) -> str:
        return self.api.service.info().model


class TestClever(OurModel):
    __test__ = True

    @pytest.fixture(autouse=True)
    def _on_scripted_engine(self, clever_api: Api) -> None:
        self.api = clever_api

    @property
    def supports_json_mode(self) -> bool:
        return True


class TestBuiltin(OurModel):
    __test__ = True
    max_tokens = 16

    @pytest.fixture(autouse=True)
    def _on_builtin_model(self, builtin_api: Api) -> None:
        self.api = builtin_api

    @property
    def has_tool_calling(self) -> bool:
        return False

    @property
    def has_structured_output(self) -> bool:
        return False
