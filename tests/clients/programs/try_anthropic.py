"""The anthropic SDK."""

import asyncio

from anthropic import Anthropic, AsyncAnthropic, NotFoundError, beta_tool
from checks import QUESTION, TOKENS, URL, run
from pydantic import BaseModel

client = Anthropic(base_url=URL, api_key="none", max_retries=0)
asked = {"model": "default", "messages": [{"role": "user", "content": QUESTION}], "max_tokens": TOKENS}


class Weather(BaseModel):
    city: str
    degrees: int


@beta_tool
def get_weather(city: str) -> str:
    """The weather in a city.

    Args:
        city: its name
    """
    return f"Rain in {city}."


def chat():
    return client.messages.create(**asked).content[0].text


def stream():
    with client.messages.stream(**asked) as events:
        return "".join(events.text_stream) and events.get_final_message().usage.output_tokens


def schema():
    return client.messages.parse(**asked, output_format=Weather).parsed_output


def tools():
    forced = {"tools": [get_weather.to_dict()], "tool_choice": {"type": "any"}}
    first = client.messages.create(**asked, **forced)
    calls = [block for block in first.content if block.type == "tool_use"]
    results = [{"type": "tool_result", "tool_use_id": call.id, "content": "Rain."} for call in calls]
    turns = [{"role": "assistant", "content": first.content}, {"role": "user", "content": results}]
    return calls and client.messages.create(**asked | {"messages": [*asked["messages"], *turns]}, tools=forced["tools"])


def tool_runner():
    return list(client.beta.messages.tool_runner(**asked, tools=[get_weather], max_iterations=3))


def asynchronous():
    async def ask():
        async with AsyncAnthropic(base_url=URL, api_key="none") as other:
            return await other.messages.create(**asked)

    return asyncio.run(ask())


def counting():
    return client.messages.count_tokens(model="default", messages=asked["messages"]).input_tokens


def errors():
    try:
        client.messages.create(**asked | {"model": "no-such"})
    except NotFoundError as refused:
        return refused.request_id
    return None


run(
    chat=chat,
    stream=stream,
    schema=schema,
    tools=tools,
    tool_runner=tool_runner,
    asynchronous=asynchronous,
    counting=counting,
    errors=errors,
)
