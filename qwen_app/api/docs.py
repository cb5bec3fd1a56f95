"""``/v1/docs``: how to use the API, made of its OpenAPI description. One page, no script, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from html import escape

from fastapi import APIRouter, Request
from fastapi.openapi.models import OpenAPI, Operation, PathItem, Reference, RequestBody, Schema
from fastapi.openapi.utils import get_openapi
from starlette.responses import HTMLResponse, JSONResponse

from qwen_app.api.client_setups import CLIENT_SETUPS, ClientSetup, lines_of

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
<p>This server speaks OpenAI's API and Anthropic's Messages API, so their SDKs and what is built on them work when they
are pointed here: OpenAI's at the address with <code>/v1</code>, Anthropic's at the address without it. The
model is called <code>default</code>, or by the id that <code>/v1/models</code> lists. Where the server has API keys,
send one as <code>Authorization: Bearer KEY</code> or <code>x-api-key</code>; without keys it answers programs on its
own machine only.</p>
<p>The description for programs is at <a href="openapi.json">openapi.json</a>.</p>
"""
EXAMPLES = {
    "Python": """from openai import OpenAI

client = OpenAI(base_url="{base}v1", api_key="none")
for chunk in client.chat.completions.create(
    model="default", messages=[{{"role": "user", "content": "What is the capital of Japan?"}}], stream=True
):
    print(chunk.choices[0].delta.content or "", end="")""",
    "curl": """curl {base}v1/chat/completions -H "Content-Type: application/json" -d '{{
  "model": "default",
  "messages": [{{"role": "user", "content": "What is the capital of Japan?"}}]
}}'""",
    "JavaScript": """import OpenAI from "openai";

const client = new OpenAI({{ baseURL: "{base}v1", apiKey: "none" }});
const answer = await client.chat.completions.create({{
  model: "default",
  messages: [{{ role: "user", content: "What is the capital of Japan?" }}],
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


def add_docs(router: APIRouter) -> None:
    """Add the page and the OpenAPI document of all that ``router`` holds.

    Both are made when somebody asks first, and in a thread (that is what a ``def`` route runs in): describing takes
    longer than the event loop may be held up.
    """

    @cache
    def description() -> dict[str, object]:
        return describe_api(router)

    @cache
    def page() -> DocsPage:
        return DocsPage(OpenAPI.model_validate(description()))

    def openapi(request: Request) -> JSONResponse:
        """Paths stand in it as they are here; under a proxy's prefix it says so."""
        root: str = request.scope.get("root_path", "")
        return JSONResponse({**description(), **({"servers": [{"url": root}]} if root else {})})

    def docs(request: Request) -> HTMLResponse:
        return HTMLResponse(page().render(str(request.base_url)), headers=DOCS_HEADERS)

    router.add_api_route("/v1/openapi.json", openapi, include_in_schema=False)
    router.add_api_route("/v1/docs", docs, include_in_schema=False)


def describe_api(router: APIRouter) -> dict[str, object]:
    """The OpenAPI description of ``router``."""
    return get_openapi(title=TITLE, version="1", routes=router.routes)


class DocsPage:
    """The page for people: every operation of an API with the fields of its body."""

    def __init__(self, description: OpenAPI) -> None:
        components = description.components
        self._schemas = (components.schemas if components else None) or {}
        self._operations = "".join(
            self._operation(method, path, operation)
            for path, item in (description.paths or {}).items()
            for method, operation in _operations(PathItem.model_validate(item))
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
            f"<h2>Works with</h2>{_works_with(base_url.rstrip('/'))}"
            f"<h2>Paths</h2>{self._operations}</body></html>"
        )

    def _operation(self, method: str, path: str, operation: Operation) -> str:
        head = f'<span class="method">{method}</span> <code>{escape(path)}</code>'
        meaning = escape(operation.description or "")
        return f"<details><summary>{head} &nbsp; {meaning}</summary>{self._fields(operation)}</details>"

    def _fields(self, operation: Operation) -> str:
        if not isinstance(operation.requestBody, RequestBody):
            return "<p>No body.</p>"
        (body, *_) = operation.requestBody.content.values()  # JSON, or the form of an upload
        schema = self._resolved(body.schema_)
        required = set(schema.required or ())
        rows = "".join(
            f"<tr><td><code>{escape(name)}</code>{' (required)' if name in required else ''}</td>"
            f"<td>{escape(' or '.join(_types(field)))}</td><td>{escape(_limits(field))}</td></tr>"
            for name, field in (schema.properties or {}).items()
            if isinstance(field, Schema)
        )
        return f"<table><tr><th>Field</th><th>Type</th><th>Meaning and limits</th></tr>{rows}</table>"

    def _resolved(self, schema: Schema | Reference | None) -> Schema:
        name = _referred(schema)
        resolved = self._schemas[name] if name else schema
        return resolved if isinstance(resolved, Schema) else Schema()


def _works_with(root: str) -> str:
    rows = "".join(
        f"<tr><td>{escape(setup.name)}</td><td>{escape(setup.api)}</td><td>{_setup(setup, root)}</td></tr>"
        for setup in CLIENT_SETUPS
    )
    return f"<table><tr><th>Client</th><th>API</th><th>What it needs</th></tr>{rows}</table>"


def _setup(setup: ClientSetup, root: str) -> str:
    return f"<details><summary>its lines</summary><pre>{escape(lines_of(setup, root, 'none'))}</pre></details>"


def _operations(item: PathItem) -> Iterator[tuple[str, Operation]]:
    if item.get:
        yield "GET", item.get
    if item.post:
        yield "POST", item.post
    if item.delete:
        yield "DELETE", item.delete


def _referred(schema: Schema | Reference | bool | None) -> str:
    """The name of the schema that ``schema`` stands for, empty where it stands for itself."""
    ref = schema.ref if isinstance(schema, Schema | Reference) else None
    return (ref or "").rsplit("/", 1)[-1]


def _types(field: Schema) -> Iterator[str]:
    for option in _options(field):
        if option.type == "null":
            continue
        if option.enum:
            yield " | ".join(map(str, option.enum))
        elif option.type == "array" and isinstance(option.items, Schema):
            yield "list of " + " or ".join(_types(option.items))
        else:
            yield str(option.type or _referred(option) or "any")


def _limits(field: Schema) -> str:
    """The field's description, and the bounds of its number, if it is one."""
    parts = [field.description] if field.description else []
    for option in _options(field):
        low = option.exclusiveMinimum if option.minimum is None else option.minimum
        high = option.exclusiveMaximum if option.maximum is None else option.maximum
        if low is not None and high is not None:
            parts.append(f"{low:g} to {high:g}")
    return "; ".join(parts)


def _options(field: Schema) -> list[Schema]:
    return [option for option in field.anyOf or [field] if isinstance(option, Schema)]
