"""The page as a program uses it: a login, a session's name, and the calls the page's own code makes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

API = "/gradio_api"


@dataclass
class PageClient:
    """One browser. ``session`` is what its page would make up."""

    http: httpx.Client
    session: str
    config: dict[str, Any] = field(default_factory=dict)

    def dependency(self, elem_id: str, event: str) -> dict[str, Any]:
        """The handler that ``event`` of the component called ``elem_id`` starts."""
        component = self.component(elem_id)["id"]
        found: dict[str, Any] = next(
            one
            for one in self.config["dependencies"]
            if [component, event] in [list(target) for target in one["targets"]] and one["backend_fn"]
        )
        return found

    def component(self, elem_id: str) -> dict[str, Any]:
        found: dict[str, Any] = next(one for one in self.config["components"] if one["props"].get("elem_id") == elem_id)
        return found

    def body(self, elem_id: str, event: str, **values: object) -> dict[str, Any]:
        """What the page sends for ``event``, with ``values`` by elem_id (``_`` for ``-``)."""
        handler = self.dependency(elem_id, event)
        components = {one["id"]: one["props"] for one in self.config["components"]}
        data = []
        for number in handler["inputs"]:
            name = str(components[number].get("elem_id", "")).replace("-", "_")
            data.append(values.get(name, components[number].get("value")))
        return {
            "data": data,
            "fn_index": handler["id"],
            "trigger_id": self.component(elem_id)["id"],
            "session_hash": self.session,
        }

    def join(self, body: dict[str, Any]) -> httpx.Response:
        return self.http.post(f"{API}/queue/join", json=body)

    def direct(self, body: dict[str, Any]) -> httpx.Response:
        return self.http.post(f"{API}/run/predict", json=body)

    def ask(self, question: str) -> str:
        """Start an answer in the chat; its event's id."""
        answer = self.join(self.body("composer", "submit", composer=question))
        answer.raise_for_status()
        event: str = answer.json()["event_id"]
        return event

    def read(self) -> Iterator[dict[str, Any]]:
        """The messages of the session's stream, until it is closed."""
        url = f"{API}/queue/data"
        with self.http.stream("GET", url, params={"session_hash": self.session}) as stream:
            stream.raise_for_status()
            for line in stream.iter_lines():
                if line.startswith("data: "):
                    yield json.loads(line.removeprefix("data: "))

    def chat_so_far(self) -> str:
        """What the server keeps of this session's chat: the body its “use from code” shows."""
        answer = self.direct(self.body("chat-use-code", "click", composer=""))
        answer.raise_for_status()
        return json.dumps(answer.json()["data"], ensure_ascii=False)


@contextmanager
def page_client(url: str, session: str, login: tuple[str, str] | None = None) -> Iterator[PageClient]:
    with httpx.Client(base_url=url, trust_env=False, timeout=60) as http:
        if login:
            form = {"username": login[0], "password": login[1]}
            http.post("/login", data=form).raise_for_status()
        client = PageClient(http, session)
        client.config = http.get("/config").raise_for_status().json()
        yield client
