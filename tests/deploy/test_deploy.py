"""The deployment examples: they parse, name settings and flags that exist, and nginx keeps a conversation in place."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import socket
import subprocess
from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from qwen_app.settings import Settings, load_settings
from tests.engine.remote.upstream import Upstream
from tests.engine.remote.vllm_like import MODEL, VllmLike

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
CHAT = "/v1/chat/completions"
PATIENCE_S = 30.0
POD_NAME = "statefulset.kubernetes.io/pod-name"

needs_nginx = pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")


class ComposeLoader(yaml.SafeLoader):
    """Knows compose's own tags."""


ComposeLoader.add_constructor("!override", lambda loader, node: loader.construct_sequence(node, deep=True))


def compose(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.load((DEPLOY / name).read_text(), ComposeLoader)
    return loaded


def kubernetes() -> dict[tuple[str, str], dict[str, Any]]:
    documents = yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())
    return {(document["kind"], document["metadata"]["name"]): document for document in documents}


def containers() -> Iterator[dict[str, Any]]:
    for (kind, _), document in kubernetes().items():
        if kind in ("Deployment", "StatefulSet"):
            yield from document["spec"]["template"]["spec"]["containers"]


def test_every_setting_exists() -> None:
    named = {name for service in ("compose.yaml", "compose.replicas.yaml") for name in environment_of(service)}
    named |= {entry["name"] for container in containers() for entry in container.get("env", ())}
    named |= set(re.findall(r"QWEN_[A-Z_]+", (DEPLOY / "Dockerfile").read_text()))
    ours = {name for name in named if name.startswith("QWEN_")}
    assert "QWEN_BASE_URL" in ours
    assert {name.removeprefix("QWEN_").lower() for name in ours} <= Settings.model_fields.keys()


def environment_of(name: str) -> set[str]:
    return {key for service in compose(name)["services"].values() for key in service.get("environment", ())}


def test_compose_services_fit_together() -> None:
    services = compose("compose.yaml")["services"]
    added = compose("compose.replicas.yaml")["services"]
    assert services["app"]["environment"]["QWEN_BASE_URL"] == "http://vllm:8000/v1"
    assert set(services["app"]["depends_on"]) <= services.keys()
    assert set(added["router"]["depends_on"]) <= services.keys() | added.keys()
    aliases = {alias for service in added.values() for alias in aliases_of(service)}
    assert set(replicas_of_nginx()) <= aliases | services.keys() | added.keys()


def replicas_of_nginx() -> list[str]:
    names = re.findall(r"server (vllm-\d):8000", (DEPLOY / "nginx.conf").read_text())
    assert len(names) > 1
    return names


def aliases_of(service: dict[str, Any]) -> list[str]:
    found: list[str] = service.get("networks", {}).get("default", {}).get("aliases", [])
    return found


def test_kubernetes_objects_fit_together() -> None:
    objects = kubernetes()
    for (kind, name), document in objects.items():
        if kind == "Service":
            selected = document["spec"]["selector"]
            labels = {key: value for key, value in selected.items() if key != POD_NAME}
            matching = [other for other in objects.values() if labels_of(other) == labels]
            assert len(matching) == 1, name


def test_every_replica_has_an_address_that_stays_when_it_is_restarted() -> None:
    """nginx looks names up once: each must be a Service with an address of its own, and lead to one pod."""
    objects = kubernetes()
    pods = [f"vllm-{number}" for number in range(objects["StatefulSet", "vllm"]["spec"]["replicas"])]
    assert replicas_of_nginx() == pods
    for pod in pods:
        service = objects["Service", pod]["spec"]
        assert "clusterIP" not in service
        assert service["selector"][POD_NAME] == pod


def links_to_services() -> dict[str, str]:
    """The variables that a kubelet gives to the pods of a namespace for its Services, as Kubernetes documents them."""
    links: dict[str, str] = {}
    for (kind, name), document in kubernetes().items():
        if kind != "Service" or document["spec"].get("clusterIP") == "None":
            continue
        prefix, first = name.upper().replace("-", "_"), document["spec"]["ports"][0]["port"]
        links |= {f"{prefix}_SERVICE_HOST": "10.0.0.11", f"{prefix}_SERVICE_PORT": str(first)}
        links[f"{prefix}_PORT"] = f"tcp://10.0.0.11:{first}"
        for port in document["spec"]["ports"]:
            one = f"{prefix}_PORT_{port['port']}_TCP"
            links[f"{prefix}_SERVICE_PORT_{port['name'].upper().replace('-', '_')}"] = str(port["port"])
            links |= {one: f"tcp://10.0.0.11:{port['port']}", f"{one}_PROTO": "tcp", f"{one}_ADDR": "10.0.0.11"}
            links[f"{one}_PORT"] = str(port["port"])
    return links


def test_no_variable_that_kubernetes_adds_is_taken_for_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither are any added, nor would they be ours."""
    assert "VLLM_ROUTER_SERVICE_PORT_HTTP" in links_to_services()
    for name, value in links_to_services().items():
        monkeypatch.setenv(name, value)
    load_settings([])
    pods = [
        document["spec"]["template"]["spec"]
        for (kind, _), document in kubernetes().items()
        if kind in ("Deployment", "StatefulSet")
    ]
    assert [pod["enableServiceLinks"] for pod in pods] == [False] * 3


def test_what_the_app_keeps_outlives_its_pod() -> None:
    pod = kubernetes()["Deployment", "qwen-app"]["spec"]["template"]["spec"]
    (mount,) = pod["containers"][0]["volumeMounts"]
    (volume,) = pod["volumes"]
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    assert f"VOLUME {mount['mountPath']}\n" in dockerfile
    assert mount["name"] == volume["name"]
    assert ("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]) in kubernetes()
    assert f"USER {pod['securityContext']['fsGroup']}\n" in dockerfile


def labels_of(document: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = document["spec"].get("template", {}).get("metadata", {}).get("labels", {})
    return found


def test_commands_for_people_name_the_python_that_has_the_packages() -> None:
    """The system's has none of them. The README's table of options has its words from the settings."""
    root = DEPLOY.parent
    texts = [root / "README.md", root / "DEPLOYMENT.md", *(root / "docs").glob("*.md"), *DEPLOY.iterdir()]
    bare = re.compile(r"(?<!\.venv/bin/)\bpython (?:-m (?:qwen_app|bench)|app\.py|download_model\.py)|`app\.py ")
    lines = ((path, line) for path in texts for line in path.read_text(encoding="utf-8").splitlines())
    assert [(path.name, line) for path, line in lines if bare.search(line) and not line.startswith("| `--")] == []


def test_the_commands_that_copy_the_data_make_no_files_of_their_own(tmp_path: Path) -> None:
    commands = re.findall(r"^.*sqlite3 data/.*$", (DEPLOY.parent / "DEPLOYMENT.md").read_text(encoding="utf-8"), re.M)
    assert len(commands) == 2
    (tmp_path / "data").mkdir()
    (tmp_path / "data/chats.sqlite3").touch()
    (tmp_path / "sqlite3").write_text(
        '#!/usr/bin/env bash\ntouch "$1"\necho "$2" >>copied\n'
    )  # it makes what is missing
    (tmp_path / "sqlite3").chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    for command in commands:
        assert subprocess.run(["bash", "-c", command], cwd=tmp_path, env=environment, check=False).returncode == 0
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["chats.sqlite3"]
    assert (tmp_path / "copied").read_text() == ".backup 'chats.copy'\n"


def test_a_copy_without_files_of_the_files_tab_leaves_those_that_are_there(tmp_path: Path) -> None:
    """With what is in the log of changes alone."""
    manual = (DEPLOY.parent / "DEPLOYMENT.md").read_text(encoding="utf-8")
    commands = manual.partition("To put it back:")[2].partition("```bash\n")[2].partition("```")[0]
    (tmp_path / "data").mkdir()
    for name in ("chats.copy", "browser.copy", "data/knowledge.sqlite3", "data/knowledge.sqlite3-wal"):
        (tmp_path / name).write_text(name)
    subprocess.run(["bash", "-ec", commands], cwd=tmp_path, check=True)
    assert (tmp_path / "data/chats.sqlite3").read_text() == "chats.copy"
    assert (tmp_path / "data/knowledge.sqlite3-wal").exists()
    (tmp_path / "knowledge.copy").write_text("knowledge.copy")
    subprocess.run(["bash", "-ec", commands], cwd=tmp_path, check=True)
    assert (tmp_path / "data/knowledge.sqlite3").read_text() == "knowledge.copy"
    assert not (tmp_path / "data/knowledge.sqlite3-wal").exists()


@asynccontextmanager
async def nginx_before(upstreams: list[Upstream], folder: Path) -> AsyncGenerator[str, None]:
    """nginx with our configuration, its names and port replaced by loopback ones; yields its address."""
    config = (DEPLOY / "nginx.conf").read_text()
    for number, upstream in enumerate(upstreams):
        config = config.replace(f"vllm-{number}:8000", upstream.address.removeprefix("http://"))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = config.replace("listen 8000", f"listen 127.0.0.1:{port}").replace("worker_processes auto", _PREFIX)
    path = folder / "nginx.conf"
    path.write_text(config)
    arguments = ("-c", str(path), "-p", str(folder), "-e", str(folder / "error.log"))
    tested = await asyncio.create_subprocess_exec("nginx", "-t", "-q", *arguments)
    assert await tested.wait() == 0
    server = await asyncio.create_subprocess_exec("nginx", *arguments)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        await server.wait()


_PREFIX = "daemon off; pid nginx.pid; worker_processes 1"


@needs_nginx
@pytest.mark.anyio
async def test_nginx_keeps_a_conversation_on_one_replica(tmp_path: Path) -> None:
    upstreams = [VllmLike().upstream(), VllmLike().upstream()]
    body = {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1, "stream": True}
    async with AsyncExitStack() as stack:
        for upstream in upstreams:
            await stack.enter_async_context(upstream.serving())
        address = await stack.enter_async_context(nginx_before(upstreams, tmp_path))
        client = await stack.enter_async_context(httpx.AsyncClient(trust_env=False, timeout=PATIENCE_S))
        await until_open(client, address)
        for turn in range(3):
            for chat in range(12):
                headers = {"X-Conversation-Id": f"chat-{chat}", "X-Turn": str(turn)}
                answer = await client.post(address + CHAT, json=body, headers=headers)
                assert answer.text.rstrip().endswith("[DONE]")
    homes = [{request.headers["x-conversation-id"] for request in upstream.requests_to(CHAT)} for upstream in upstreams]
    assert homes[0].isdisjoint(homes[1])
    assert all(homes)
    assert len(homes[0] | homes[1]) == 12


async def until_open(client: httpx.AsyncClient, address: str) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                await client.get(address + "/health")
                return
            except httpx.TransportError:
                await asyncio.sleep(0.02)
