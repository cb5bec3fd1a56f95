"""smolagents."""

from checks import QUESTION, TOKENS, V1, run
from smolagents import ChatMessage, OpenAIModel, ToolCallingAgent, tool

model = OpenAIModel(model_id="default", api_base=V1, api_key="none", max_tokens=TOKENS)
messages = [ChatMessage(role="user", content=[{"type": "text", "text": QUESTION}])]


@tool
def get_weather(city: str) -> str:
    """The weather in a city.

    Args:
        city: its name
    """
    return f"Rain in {city}."


run(
    chat=lambda: model.generate(messages).content,
    stream=lambda: "".join(part.content or "" for part in model.generate_stream(messages)),
    tools=lambda: model.generate(messages, tools_to_call_from=[get_weather]).tool_calls,
    agent=lambda: ToolCallingAgent([get_weather], model, max_steps=2).run(QUESTION),
)
