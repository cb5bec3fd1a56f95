"""LlamaIndex, with OpenAILike."""

import asyncio

from checks import QUESTION, TOKENS, V1, run
from llama_index.core.llms import ChatMessage
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike
from pydantic import BaseModel

model = OpenAILike(
    model="default",
    api_base=V1,
    api_key="none",
    is_chat_model=True,
    is_function_calling_model=True,
    context_window=8192,
    max_tokens=TOKENS,
    max_retries=0,
)
messages = [ChatMessage(role="user", content=QUESTION)]


class Weather(BaseModel):
    """The weather."""

    city: str
    degrees: int


def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"Rain in {city}."


def tools():
    answer = model.chat_with_tools([FunctionTool.from_defaults(get_weather)], QUESTION, tool_required=True)
    return model.get_tool_calls_from_response(answer)


run(
    chat=lambda: model.chat(messages).message.content,
    stream=lambda: "".join(part.delta or "" for part in model.stream_chat(messages)),
    schema=lambda: model.structured_predict(Weather, PromptTemplate(QUESTION)),
    tools=tools,
    asynchronous=lambda: asyncio.run(model.achat(messages)).message.content,
)
