"""The few lines that point a client here. ``{root}`` stands for this server's address, ``{key}`` for an API key.

``tests/clients`` tries these clients; ``docs/clients.md`` has what came of it.
"""

from __future__ import annotations

from dataclasses import dataclass

OPENAI = "OpenAI's"
ANTHROPIC = "Anthropic's"


@dataclass(frozen=True, slots=True)
class ClientSetup:
    """``api`` is whose API it speaks."""

    name: str
    api: str
    lines: str


CLIENT_SETUPS = (
    ClientSetup(
        "openai (Python)",
        OPENAI,
        """from openai import OpenAI

client = OpenAI(base_url="{root}/v1", api_key="{key}")
answer = client.chat.completions.create(model="default", messages=[{"role": "user", "content": "Hello!"}])
print(answer.choices[0].message.content)""",
    ),
    ClientSetup(
        "anthropic (Python)",
        ANTHROPIC,
        """from anthropic import Anthropic

client = Anthropic(base_url="{root}", api_key="{key}")
answer = client.messages.create(model="default", max_tokens=500, messages=[{"role": "user", "content": "Hello!"}])
print(answer.content[0].text)""",
    ),
    ClientSetup(
        "Claude Code",
        ANTHROPIC,
        """export ANTHROPIC_BASE_URL={root}
export ANTHROPIC_AUTH_TOKEN={key}
export ANTHROPIC_MODEL=default
export ANTHROPIC_SMALL_FAST_MODEL=default
claude""",
    ),
    ClientSetup(
        "Codex CLI",
        OPENAI,
        """# in ~/.codex/config.toml
model = "default"
model_provider = "ours"
[model_providers.ours]
name = "ours"
base_url = "{root}/v1"
wire_api = "responses"
http_headers = { "Authorization" = "Bearer {key}" }""",
    ),
    ClientSetup(
        "LangChain",
        OPENAI,
        """from langchain_openai import ChatOpenAI

model = ChatOpenAI(model="default", base_url="{root}/v1", api_key="{key}")
print(model.invoke("Hello!").content)""",
    ),
    ClientSetup(
        "LlamaIndex",
        OPENAI,
        """from llama_index.llms.openai_like import OpenAILike

model = OpenAILike(model="default", api_base="{root}/v1", api_key="{key}", is_chat_model=True,
                   is_function_calling_model=True)
print(model.complete("Hello!"))""",
    ),
    ClientSetup(
        "LiteLLM",
        OPENAI,
        """import litellm

answer = litellm.completion(model="openai/default", api_base="{root}/v1", api_key="{key}",
                            messages=[{"role": "user", "content": "Hello!"}])
print(answer.choices[0].message.content)""",
    ),
    ClientSetup(
        "instructor",
        OPENAI,
        """import instructor
from openai import OpenAI
from pydantic import create_model

City = create_model("City", name=str, country=str)
client = instructor.from_openai(OpenAI(base_url="{root}/v1", api_key="{key}"), mode=instructor.Mode.JSON_SCHEMA)
print(client.create(model="default", response_model=City, messages=[{"role": "user", "content": "A city."}]))""",
    ),
    ClientSetup(
        "pydantic-ai",
        OPENAI,
        """from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

agent = Agent(OpenAIChatModel("default", provider=OpenAIProvider(base_url="{root}/v1", api_key="{key}")))
print(agent.run_sync("Hello!").output)""",
    ),
    ClientSetup(
        "Haystack",
        OPENAI,
        """from haystack.components.generators.chat import OpenAIChatGenerator
from haystack.utils import Secret

generator = OpenAIChatGenerator(Secret.from_token("{key}"), "default", api_base_url="{root}/v1")
print(generator.run("Hello!")["replies"][0].text)""",
    ),
    ClientSetup(
        "smolagents",
        OPENAI,
        """from smolagents import OpenAIModel, ToolCallingAgent

model = OpenAIModel(model_id="default", api_base="{root}/v1", api_key="{key}")
ToolCallingAgent(tools=[], model=model).run("Hello!")""",
    ),
    ClientSetup(
        "DSPy",
        OPENAI,
        """import dspy

dspy.configure(lm=dspy.LM("openai/default", api_base="{root}/v1", api_key="{key}"))
print(dspy.Predict("question -> answer")(question="Hello?").answer)""",
    ),
    ClientSetup(
        "llm",
        OPENAI,
        """# in extra-openai-models.yaml, in the folder that `llm logs path` names
- model_id: local
  model_name: default
  api_base: {root}/v1
  supports_schema: true""",
    ),
    ClientSetup(
        "openai (node)",
        OPENAI,
        """import OpenAI from "openai";

const client = new OpenAI({ baseURL: "{root}/v1", apiKey: "{key}" });
const messages = [{ role: "user", content: "Hello!" }];
console.log((await client.chat.completions.create({ model: "default", messages })).choices[0].message.content);""",
    ),
    ClientSetup(
        "AI SDK (node)",
        OPENAI,
        """import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText } from "ai";

const ours = createOpenAICompatible({ name: "ours", baseURL: "{root}/v1", apiKey: "{key}",
                                      supportsStructuredOutputs: true });
console.log((await generateText({ model: ours("default"), prompt: "Hello!" })).text);""",
    ),
    ClientSetup(
        "LangChain (node)",
        OPENAI,
        """import { ChatOpenAI } from "@langchain/openai";

const model = new ChatOpenAI({ model: "default", apiKey: "{key}", configuration: { baseURL: "{root}/v1" } });
console.log((await model.invoke("Hello!")).content);""",
    ),
)


def lines_of(setup: ClientSetup, root: str, key: str) -> str:
    """The lines with the address of this server, which has no slash at its end."""
    return setup.lines.replace("{root}", root).replace("{key}", key)
