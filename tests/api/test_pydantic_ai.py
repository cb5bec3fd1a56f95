"""pydantic-ai as a client: an agent that calls a tool, reads its result and answers in a class, whole and streamed."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest
from openai import AsyncOpenAI
from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.models import Model
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.output import NativeOutput
from pydantic_ai.providers.openai import OpenAIProvider

from tests.api.clever import GREETING
from tests.api.serving import Api

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


class Greeting(BaseModel):
    words: str
    times: int


def shout(words: str) -> str:
    """Says it loudly."""
    return words.upper()


@pytest.fixture(params=[OpenAIChatModel, OpenAIResponsesModel], ids=["chat", "responses"])
async def model(request: pytest.FixtureRequest, clever_api: Api) -> AsyncGenerator[Model, None]:
    async with AsyncOpenAI(base_url=f"{clever_api.url}/v1", api_key="none", max_retries=0) as client:
        yield request.param("default", provider=OpenAIProvider(openai_client=client))


async def test_an_agent_calls_its_tool_and_reads_the_result(model: Model) -> None:
    result = await Agent(model, tools=[shout]).run("Shout something.")
    assert result.output == "It is what the tool says."
    said = [
        part.content for message in result.all_messages() for part in message.parts if part.part_kind == "tool-return"
    ]
    assert said == [GREETING.upper()]


async def test_an_answer_in_a_class(model: Model) -> None:
    result = await Agent(model, output_type=NativeOutput(Greeting)).run("Greet me.")
    assert result.output == Greeting(words=GREETING, times=3)


async def test_a_class_by_way_of_a_forced_call(model: Model) -> None:
    result = await Agent(model, output_type=Greeting).run("Greet me.")
    assert result.output == Greeting(words=GREETING, times=3)


async def test_streams(model: Model) -> None:
    async with Agent(model, output_type=NativeOutput(Greeting)).run_stream("Greet me.") as result:
        seen = [partial async for partial in result.stream_output(debounce_by=None)]
    assert seen[-1] == Greeting(words=GREETING, times=3)
