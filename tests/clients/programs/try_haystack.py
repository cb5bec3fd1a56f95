"""Haystack."""

from checks import QUESTION, TOKENS, V1, run
from haystack.components.generators.chat import OpenAIChatGenerator
from haystack.dataclasses import ChatMessage
from haystack.tools import Tool
from haystack.utils import Secret
from pydantic import BaseModel


class Weather(BaseModel):
    city: str
    degrees: int


tool = Tool("get_weather", "The weather in a city.", Weather.model_json_schema(), lambda **_: "Rain.")
pieces = []


def ask(**fields):
    options = {"max_tokens": TOKENS, **fields.pop("generation_kwargs", {})}
    made = OpenAIChatGenerator(
        Secret.from_token("none"), "default", api_base_url=V1, generation_kwargs=options, max_retries=0, **fields
    )
    return made.run([ChatMessage.from_user(QUESTION)])["replies"][0]


run(
    chat=lambda: ask().text,
    stream=lambda: ask(streaming_callback=pieces.append).text and pieces,
    schema=lambda: Weather.model_validate_json(ask(generation_kwargs={"response_format": Weather}).text),
    tools=lambda: ask(tools=[tool], generation_kwargs={"tool_choice": "required"}).tool_calls,
)
