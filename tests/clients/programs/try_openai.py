"""The openai SDK."""

import asyncio

from checks import QUESTION, TOKENS, V1, run
from openai import AsyncOpenAI, BadRequestError, OpenAI
from pydantic import BaseModel

client = OpenAI(base_url=V1, api_key="none", max_retries=0)
asked = {"model": "default", "messages": [{"role": "user", "content": QUESTION}], "max_tokens": TOKENS}


class Weather(BaseModel):
    city: str
    degrees: int


tool = {
    "type": "function",
    "function": {"name": "get_weather", "parameters": Weather.model_json_schema() | {"title": "w"}},
}


def chat():
    return client.chat.completions.create(**asked).choices[0].message.content


def stream():
    chunks = list(client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
    return chunks[-1].usage and "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)


def schema():
    return client.chat.completions.parse(**asked, response_format=Weather).choices[0].message.parsed


def tools():
    first = client.chat.completions.create(**asked, tools=[tool], tool_choice="required").choices[0].message
    results = [{"role": "tool", "tool_call_id": call.id, "content": "Rain."} for call in first.tool_calls]
    return client.chat.completions.create(**asked | {"messages": [*asked["messages"], first, *results]}, tools=[tool])


def asynchronous():
    async def ask():
        other = AsyncOpenAI(base_url=V1, api_key="none")
        async with other, other.chat.completions.stream(**asked) as events:
            return [event async for event in events]

    return asyncio.run(ask())


def responses():
    answer = client.responses.create(model="default", input=QUESTION, max_output_tokens=TOKENS)
    return answer.output_text


def errors():
    try:
        client.chat.completions.create(**asked | {"temperature": 9})
    except BadRequestError as refused:
        return refused.param == "temperature" and refused.request_id
    return None


run(chat=chat, stream=stream, schema=schema, tools=tools, asynchronous=asynchronous, responses=responses, errors=errors)
