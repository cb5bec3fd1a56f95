"""The record of failed requests: what it keeps, how large it grows, and that a replay asks the same again."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from qwen_app.errors import EngineError, OutOfDeviceMemory, RequestError
from qwen_app.failed_requests import FILE_LIMIT_BYTES, FailedRequests, Keep, read_record, without_text
from qwen_app.messages import (
    Failed,
    GenerationRequest,
    GrammarSpec,
    JsonObject,
    JsonSchema,
    Message,
    PromptPolicy,
    Regex,
    SamplingParams,
    StringChoice,
    TemplateOptions,
    Tool,
    ToolCall,
    ToolChoice,
)
from qwen_app.replay import main as replay
from qwen_app.service import Service
from qwen_app.testing.scripted_engine import Script, ScriptedEngine
from tests.api.serving import running_api

WHOLE = GenerationRequest(
    "abc",
    (
        Message("system", "canary system"),
        Message("user", "canary question"),
        Message("assistant", "", (ToolCall("canary-id", "canary_tool", '{"canary": 1}'),)),
        Message("tool", "canary result", tool_call_id="canary-id"),
    ),
    suffix="canary suffix",
    template=TemplateOptions(variables={"canary": "canary"}),
    sampling=SamplingParams(temperature=0.3, seed=7, stop=("canary stop",)),
    user="canary user",
    conversation_id="canary chat",
    tools=(Tool("canary_tool", "canary description", {"type": "object", "title": "canary"}),),
    tool_choice=ToolChoice("named", "canary_tool"),
    policy=PromptPolicy("trim", pinned_turns=frozenset({0}), hint=JsonSchema({"title": "canary hint"})),
)
FAILURE = Failed(EngineError("canary message"), "canary answer")
GRAMMARS: tuple[GrammarSpec | None, ...] = (
    None,
    JsonObject(),
    JsonSchema({"b": {"const": "canary"}, "a": 1}, strict=False),
    Regex("canary+"),
    StringChoice(("canary", "canary bird")),
)


def record(tmp_path: Path, keeps: Keep = "shape") -> tuple[FailedRequests, Path]:
    path = tmp_path / "run" / "failed.jsonl"
    return FailedRequests(path, keeps=keeps), path


@pytest.mark.parametrize("grammar", GRAMMARS, ids=lambda grammar: type(grammar).__name__)
def test_with_text_the_request_comes_back_whole(tmp_path: Path, grammar: GrammarSpec | None) -> None:
    request = dataclasses.replace(WHOLE, grammar=grammar)
    failures, path = record(tmp_path, "text")
    failures.add(request, FAILURE, 1.5)
    (found,) = read_record(path)
    assert found.request == request
    assert (found.code, found.after_s, found.partial_characters) == ("engine_error", 1.5, len("canary answer"))


@pytest.mark.parametrize("grammar", GRAMMARS, ids=lambda grammar: type(grammar).__name__)
def test_without_text_only_the_shape_is_kept(tmp_path: Path, grammar: GrammarSpec | None) -> None:
    request = dataclasses.replace(WHOLE, grammar=grammar)
    failures, path = record(tmp_path)
    failures.add(request, FAILURE, 1.5)
    assert b"canary" not in path.read_bytes()
    (found,) = read_record(path)
    assert found.request is not None
    assert type(found.request.grammar) is type(grammar)
    assert [len(message.content) for message in found.request.messages] == [13, 15, 0, 13]
    assert found.request.sampling.seed == 7


REQUESTS = TypeAdapter(GenerationRequest)
TEXT = st.text(min_size=8).map(lambda text: f"canary{text}")
MESSAGES = st.lists(st.builds(Message, st.sampled_from(["system", "user", "assistant"]), TEXT), max_size=3).map(tuple)
TOOLS = st.lists(st.builds(Tool, TEXT, TEXT, st.dictionaries(TEXT, TEXT)), max_size=2).map(tuple)


@given(st.builds(GenerationRequest, st.just("id"), MESSAGES, st.none() | TEXT, user=TEXT, tools=TOOLS))
def test_no_text_whatever_is_kept_in_the_shape(request_made: GenerationRequest) -> None:
    shape = without_text(request_made)
    written = REQUESTS.dump_json(shape)
    assert b"canary" not in written
    assert REQUESTS.validate_json(written) == shape


def test_two_files_of_five_megabytes_for_their_owner(tmp_path: Path) -> None:
    failures, path = record(tmp_path, "text")
    long = dataclasses.replace(WHOLE, messages=(Message("user", "x" * 400_000),))
    for _ in range(40):
        failures.add(long, FAILURE, 1.0)
    files = list(path.parent.iterdir())
    assert len(files) == 2
    assert max(file.stat().st_size for file in files) <= FILE_LIMIT_BYTES
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    assert len(read_record(path)) > 12


@pytest.mark.parametrize("text", ["x" * 4_000_000, "half a pair \ud800"])
def test_what_cannot_be_kept_with_its_text_is_kept_without(tmp_path: Path, text: str) -> None:
    failures, path = record(tmp_path, "text")
    failures.add(dataclasses.replace(WHOLE, messages=(Message("user", text),)), FAILURE, 1.0)
    (found,) = read_record(path)
    assert found.keeps != "text"
    assert path.stat().st_size < 1_000_000


def test_a_line_that_broke_off_is_passed_over(tmp_path: Path) -> None:
    failures, path = record(tmp_path)
    failures.add(WHOLE, FAILURE, 1.0)
    path.write_bytes(path.read_bytes() + path.read_bytes()[:50])
    assert len(read_record(path)) == 1


def test_a_record_that_cannot_be_written_is_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    failures = FailedRequests(Path("/proc/nowhere/failed.jsonl"))
    for _ in range(3):
        failures.add(WHOLE, FAILURE, 1.0)
    assert [line.levelname for line in caplog.records] == ["WARNING"]


def ask(service: Service, request: GenerationRequest) -> None:
    async def read() -> None:
        async for _ in service.generate(request):
            pass

    asyncio.run(read())


def test_our_failures_are_recorded_and_the_callers_mistakes_are_not(tmp_path: Path) -> None:
    failures, path = record(tmp_path)
    script = Script(error=OutOfDeviceMemory("No memory."), error_at=2)
    for engine_script in (script, Script(error=RequestError("Yours.")), Script()):
        service = Service(ScriptedEngine(engine_script))
        service.observe(failures.watch)
        ask(service, GenerationRequest("abc", (Message("user", "Hi"),)))
    (found,) = read_record(path)
    assert (found.request_id, found.code, found.partial_characters) == ("abc", "out_of_memory", len("Hello, "))


def test_a_replay_asks_the_same_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    failures, path = record(tmp_path, "text")
    sampling = SamplingParams(temperature=0.3, seed=7, max_tokens=5)
    for name, text in (("one", "first"), ("two", "second")):
        failures.add(GenerationRequest(name, (Message("user", text),), sampling=sampling), FAILURE, 1.0)
    engine = ScriptedEngine(lambda request: Script(error=EngineError("Still.") if len(request.messages) > 1 else None))
    with running_api(engine, api_keys="secret") as api:
        arguments = ["--file", str(path), "--url", api.url]
        assert replay(["--list", *arguments]) == 0
        assert not engine.requests
        assert replay(["two", *arguments]) == 1  # without the key
        monkeypatch.setenv("QWEN_API_KEYS", "secret")
        assert replay(["two", *arguments]) == 0
    (asked,) = engine.requests
    assert [message.content for message in asked.messages] == ["second"]
    assert (asked.sampling.temperature, asked.sampling.seed, asked.sampling.max_tokens) == (0.3, 7, 5)
    told = capsys.readouterr().out
    assert "two engine_error after 1.0 s (text kept): answered, 4 tokens, stop" in told
    assert "second" not in told


def test_a_replay_of_nothing_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert replay(["--file", str(tmp_path / "none.jsonl")]) == 2
    assert "none.jsonl" in capsys.readouterr().err


def test_the_record_is_json(tmp_path: Path) -> None:
    failures, path = record(tmp_path, "nothing")
    failures.add(WHOLE, FAILURE, 1.0)
    line = json.loads(path.read_text(encoding="utf-8"))
    assert line["request"] is None
    assert line["request_id"] == "abc"
