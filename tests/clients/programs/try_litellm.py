"""LiteLLM, by OpenAI's API and by Anthropic's."""

import asyncio

import litellm
from checks import QUESTION, TOKENS, URL, V1, run
from pydantic import BaseModel

litellm.drop_params = False
asked = {
    "model": "openai/default",
    "api_base": V1,
    "api_key": "none",
    "messages": [{"role": "user", "content": QUESTION}],
    "max_tokens": TOKENS,
    "num_retries": 0,
}
of_anthropic = asked | {"model": "anthropic/default", "api_base": URL}


class Weather(BaseModel):
    city: str
    degrees: int


tool = {"type": "function", "function": {"name": "get_weather", "parameters": Weather.model_json_schema()}}


def too_long():
    try:
        litellm.completion(**asked | {"messages": [{"role": "user", "content": "word " * 100_000}]})
    except litellm.ContextWindowExceededError:
        return True
    return None


def asynchronous():
    return asyncio.run(litellm.acompletion(**asked)).choices[0].message.content


run(
    chat=lambda: litellm.completion(**asked).choices[0].message.content,
    stream=lambda: "".join(part.choices[0].delta.content or "" for part in litellm.completion(**asked, stream=True)),
    schema=lambda: Weather.model_validate_json(
        litellm.completion(**asked, response_format=Weather).choices[0].message.content
    ),
    tools=lambda: litellm.completion(**asked, tools=[tool], tool_choice="required").choices[0].message.tool_calls,
    asynchronous=asynchronous,
    messages_api=lambda: litellm.completion(**of_anthropic).choices[0].message.content,
    too_long=too_long,
)
