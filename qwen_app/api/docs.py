"""``/v1/docs``: how to use the API, made of its OpenAPI description. One page, no script, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

from fastapi import APIRouter
from fastapi.openapi.utils import get_openapi

TITLE = "Qwen chat API"
DOCS_HEADERS = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'", "x-frame-options": "DENY"}
STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
pre, code { font: 14px/1.45 ui-monospace, monospace }
pre { padding: 1rem; overflow-x: auto; border: 1px solid #8884; border-radius: 6px }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #8884 }
summary { cursor: pointer; padding: .4rem 0 }
.method { font-weight: 600; display: inline-block; min-width: 3.5rem }
"""
INTRODUCTION = """
<p>This server speaks OpenAI's API, so the openai SDK and what is built on it work when they are pointed here. The
model is called <code>default</code>, or by the id that <code>/v1/models</code> lists. Where the server has API keys,
send one as <code>Authorization: Bearer KEY</code>; without keys it answers programs on its own machine only.</p>
<p>The description for programs is at <a href="openapi.json">openapi.json</a>.</p>
"""
EXAMPLES = {
    "Python": """from openai import OpenAI

client = OpenAI(base_url="{base}v1", api_key="none")
for chunk in client.chat.completions.create(
    model="default", messages=[{{"role": "user", "content": "What is the capital of France?"}}], stream=True
):
    print(chunk.choices[0].delta.content or "", end="")""",
    "curl": """curl {base}v1/chat/completions -H "Content-Type: application/json" -d '{{
  "model": "default",
  "messages": [{{"role": "user", "content": "What is the capital of France?"}}]
}}'""",
    "JavaScript": """import OpenAI from "openai";

const client = new OpenAI({{ baseURL: "{base}v1", apiKey: "none" }});
const answer = await client.chat.completions.create({{
  model: "default",
  messages: [{{ role: "user", content: "What is the capital of France?" }}],
}});
console.log(answer.choices[0].message.content);""",
    "An answer that follows a JSON Schema": """from openai import OpenAI
from pydantic import BaseModel

class City(BaseModel):
    name: str
    country: str

client = OpenAI(base_url="{base}v1", api_key="none")
answer = client.chat.completions.parse(
    model="default", messages=[{{"role": "user", "content": "A city in Japan."}}], response_format=City
)
print(answer.choices[0].message.parsed)""",
}


def describe_api(router: APIRouter) -> dict[str, Any]:
    """The OpenAPI description of ``router``, with the key as an optional bearer token."""
    description = get_openapi(title=TITLE, version="1", routes=router.routes)
    description.setdefault("components", {})["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    description["security"] = [{"key": []}, {}]
    return description


class DocsPage:
    def __init__(self, description: dict[str, Any]) -> None:
        self._schemas: dict[str, Any] = description["components"]["schemas"]
        self._operations = "".join(
            self._operation(method, path, operation)
            for path, methods in description["paths"].items()
            for method, operation in methods.items()
        )

    def render(self, base_url: str) -> str:
        """The page; its examples use the address it was asked at."""
        examples = "".join(
            f"<h3>{escape(name)}</h3><pre>{escape(text.format(base=base_url))}</pre>" for name, text in EXAMPLES.items()
        )
        return (
            f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{TITLE}</title>'
            f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head>'
            f"<body><h1>{TITLE}</h1>{INTRODUCTION}<h2>Examples</h2>{examples}"
            f"<h2>Paths</h2>{self._operations}</body></html>"
        )

    def _operation(self, method: str, path: str, operation: dict[str, Any]) -> str:
        head = f'<span class="method">{method.upper()}</span> <code>{escape(path)}</code>'
        meaning = escape(operation.get("description", ""))
        return f"<details><summary>{head} &nbsp; {meaning}</summary>{self._fields(operation)}</details>"

    def _fields(self, operation: dict[str, Any]) -> str:
        if "requestBody" not in operation:
            return "<p>No body.</p>"
        schema = self._resolved(operation["requestBody"]["content"]["application/json"]["schema"])
        required = set(schema.get("required", ()))
        rows = "".join(
            f"<tr><td><code>{escape(name)}</code>{' (required)' if name in required else ''}</td>"
            f"<td>{escape(' or '.join(self._types(field)))}</td><td>{escape(_limits(field))}</td></tr>"
            for name, field in schema["properties"].items()
        )
        return f"<table><tr><th>Field</th><th>Type</th><th>Meaning and limits</th></tr>{rows}</table>"

    def _resolved(self, schema: dict[str, Any]) -> dict[str, Any]:
        name = schema.get("$ref", "").rsplit("/", 1)[-1]
        resolved: dict[str, Any] = self._schemas[name] if name else schema
        return resolved

    def _types(self, field: dict[str, Any]) -> Iterator[str]:
        for option in field.get("anyOf", [field]):
            if option.get("type") == "null":
                continue
            if "enum" in option:
                yield " | ".join(map(str, option["enum"]))
            elif option.get("type") == "array":
                yield "list of " + " or ".join(self._types(option["items"]))
            else:
                yield option.get("type") or option.get("$ref", "any").rsplit("/", 1)[-1]


def _limits(field: dict[str, Any]) -> str:
    """The field's description, and the bounds of its number, if it is one."""
    said = [field["description"]] if "description" in field else []
    for option in field.get("anyOf", [field]):
        low = option.get("minimum", option.get("exclusiveMinimum"))
        high = option.get("maximum", option.get("exclusiveMaximum"))
        if low is not None and high is not None:
            said.append(f"{low:g} to {high:g}")
    return "; ".join(said)
