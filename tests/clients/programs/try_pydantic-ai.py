"""pydantic-ai."""

import asyncio

from checks import QUESTION, TOKENS, V1, run
from pydantic import BaseModel
from pydantic_ai import Agent, NativeOutput
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider

provider = OpenAIProvider(base_url=V1, api_key="none")
model = OpenAIChatModel("default", provider=provider)
settings = {"max_tokens": TOKENS}


class Weather(BaseModel):
    city: str
    degrees: int


async def streamed():
    async with Agent(model, model_settings=settings).run_stream(QUESTION) as answer:
        return [piece async for piece in answer.stream_text(delta=True)]


async def asked():
    return (await Agent(model, model_settings=settings).run(QUESTION)).output


async def by_responses():
    other = OpenAIResponsesModel("default", provider=provider)
    return (await Agent(other, model_settings=settings).run(QUESTION)).output


run(
    chat=lambda: asyncio.run(asked()),
    stream=lambda: asyncio.run(streamed()),
    schema=lambda: Agent(model, output_type=NativeOutput(Weather), model_settings=settings).run_sync(QUESTION).output,
    tools=lambda: Agent(model, output_type=Weather, model_settings=settings).run_sync(QUESTION).output,
    responses=lambda: asyncio.run(by_responses()),
)
