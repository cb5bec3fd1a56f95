"""LangChain, with langchain-openai."""

import asyncio

from checks import QUESTION, TOKENS, V1, run
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

model = ChatOpenAI(model="default", base_url=V1, api_key="none", max_tokens=TOKENS, max_retries=0)


class Weather(BaseModel):
    """The weather."""

    city: str
    degrees: int


@tool
def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"Rain in {city}."


def broken_history():
    """What the agent loop sends back after the model wrote arguments that are no JSON."""
    broken = {"name": "get_weather", "args": '{"city": "Ber', "id": "c1", "error": None, "type": "invalid_tool_call"}
    called = AIMessage("", invalid_tool_calls=[broken])
    result = ToolMessage("Bad JSON.", tool_call_id="c1")
    return model.bind_tools([get_weather]).invoke([HumanMessage(QUESTION), called, result])


def agent():
    return create_agent(model, [get_weather]).invoke({"messages": QUESTION}, {"recursion_limit": 12})["messages"]


run(
    chat=lambda: model.invoke(QUESTION).content,
    stream=lambda: "".join(chunk.text for chunk in model.stream(QUESTION)),
    schema=lambda: model.with_structured_output(Weather).invoke(QUESTION),
    tools=lambda: model.bind_tools([get_weather], tool_choice="required").invoke(QUESTION).tool_calls,
    agent=agent,
    asynchronous=lambda: asyncio.run(model.ainvoke(QUESTION)).content,
    batch=lambda: model.batch([QUESTION, "Hi"]),
    broken_history=broken_history,
)
