"""The rows of servers: each is told from the others, stands in the guide as it is, and is all a new server needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from qwen_app.engine.remote.connection import server_info
from qwen_app.engine.remote.connection.server_profile import (
    SERVER_PROFILES,
    UNKNOWN_SERVER,
    FactSource,
    ServerProfile,
    TokenizerApi,
    TokenizerEndpoint,
)
from qwen_app.errors import SchemaError
from qwen_app.messages import Finished, JsonObject, Message, SamplingParams, TemplateOptions
from tests.engine.contract import ask, check_shape, collect
from tests.engine.remote.engines import answer, engine_on, refusal
from tests.engine.remote.fake_servers import CONTEXT_TOKENS, FAKE_SERVERS, FakeServer, LlamaCpp, Ollama, Vllm
from tests.engine.remote.upstream import Handler, Reply, Request

GUIDE = Path(__file__).resolve().parents[4] / "docs" / "scale-out.md"
FOOTNOTES = str.maketrans("", "", "¹²³")

JSON_OBJECT = {"openai": "yes", "schema_as_value": "yes", "schema_only": "as a schema", "none": "refused"}
PATTERN_FIELD = {
    "structured_outputs": "yes",
    "regex": "yes",
    "response_format": "yes",
    "grammar": "choice",
    "none": "refused",
}


def row_of(profile: ServerProfile) -> list[str]:
    """The row of the guide that ``profile`` must have."""
    speaks_json = profile.json_formats != "none"
    by_schema = "by a schema" if speaks_json else "refused"
    exact = profile.tokenizer is not None and profile.tokenizer.counts_exactly
    return [
        profile.title,
        JSON_OBJECT[profile.json_formats],
        "yes" if speaks_json else "refused",
        PATTERN_FIELD[profile.pattern_field],
        "yes",
        by_schema if profile.tool_choice == "none" else "yes",
        "exact" if exact else "estimated",
    ]


def test_the_guide_has_every_row_as_it_is() -> None:
    lines = GUIDE.read_text(encoding="utf-8").translate(FOOTNOTES).splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("| | JSON object")) + 2
    end = lines.index("", start)
    listed = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[start:end]]
    assert sorted(listed) == sorted(row_of(profile) for profile in (*SERVER_PROFILES, UNKNOWN_SERVER))


def test_no_two_servers_are_recognised_alike() -> None:
    owners = [profile.owned_by for profile in SERVER_PROFILES if profile.owned_by]
    signs = [profile.sign for profile in SERVER_PROFILES]
    assert len(set(owners)) == len(owners)
    assert len(set(signs)) == len(signs)
    assert None not in signs


def test_every_known_server_is_imitated() -> None:
    imitated = {kind.name for kind in FAKE_SERVERS}
    assert {profile.title for profile in SERVER_PROFILES} - imitated == {"another copy of this app"}


@pytest.mark.parametrize(
    ("page", "fact"),
    [
        ({"data": [{"id": "other", "length": 1}, {"id": "tiny", "length": 2}]}, 2),
        ({"data": [{"name": "tiny", "length": 3}]}, 3),
        ({"data": {"length": 4}}, 4),
        ({"data": []}, None),
        ({"data": [5]}, None),
        ({"data": "text"}, None),
        ([], None),
        (None, None),
    ],
)
def test_a_fact_is_found_or_it_is_not(page: object, fact: object) -> None:
    assert FactSource("/facts", ("data", "length")).find({"/facts": page}, "tiny") == fact
    assert FactSource("/elsewhere", ("data", "length")).find({"/facts": page}, "tiny") is None


class Newcomer(FakeServer):
    """A server that nobody has heard of yet."""

    name = "Newcomer"

    def routes(self) -> dict[str, Handler]:
        return super().routes() | {"GET /new/about": self.about, "POST /new/count": self.count}

    async def about(self, request: Request, reply: Reply) -> None:
        await reply.json({"newcomer": {"window": CONTEXT_TOKENS}, "release": "1.2"})

    async def count(self, request: Request, reply: Reply) -> None:
        await reply.json({"n": 7 * len(request.body["messages"])})


NEWCOMER = ServerProfile(
    "Newcomer",
    sign=FactSource("/new/about", ("newcomer",)),
    context_sources=(FactSource("/new/about", ("newcomer", "window")),),
    version_source=FactSource("/new/about", ("release",)),
    sampling_names={"top_k": "best_k"},
    json_formats="none",
    tokenizer=TokenizerApi(
        encode=TokenizerEndpoint("/new/encode", "text", "ids"),
        decode=None,
        count=(TokenizerEndpoint("/new/count", "", "n"),),
    ),
)


@pytest.mark.anyio
async def test_one_row_is_all_that_a_new_server_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_info, "SERVER_PROFILES", (*SERVER_PROFILES, NEWCOMER))
    server = Newcomer()
    async with engine_on(server) as engine:
        assert isinstance(check_shape(await collect(engine, ask())), Finished)
        assert await engine.count_tokens([[Message("user", "Hi")]]) == [7]
        info = engine.info()
    assert info.device.startswith("Newcomer at ")
    assert (info.context_tokens, info.revision, info.exact_counts) == (CONTEXT_TOKENS, "1.2", True)
    assert server.seen["best_k"] == 0
    assert isinstance(await refusal(server, ask(grammar=JsonObject())), SchemaError)


ENDS = SamplingParams(max_tokens=8, logit_bias=((5, 1.0),), stop_token_ids=(7,), min_tokens=3, ignore_eos=True)


@pytest.mark.anyio
async def test_what_makes_another_answer_is_heeded_or_refused() -> None:
    server = Vllm()
    check_shape(await answer(server, ask(sampling=ENDS, template=TemplateOptions(variables={"a": 1}))))
    sent = {name: server.seen[name] for name in ("logit_bias", "stop_token_ids", "min_tokens", "ignore_eos")}
    assert sent == {"logit_bias": {"5": 1.0}, "stop_token_ids": [7], "min_tokens": 3, "ignore_eos": True}
    assert server.seen["chat_template_kwargs"] == {"a": 1}
    refused = [
        await refusal(Ollama(), ask(sampling=ENDS)),
        await refusal(Ollama(), ask(template=TemplateOptions(continue_final=True))),
        await refusal(Ollama(), ask(messages=(), prompt="x", sampling=SamplingParams(prompt_logprobs=True))),
    ]
    assert [getattr(error, "param", "") for error in refused] == ["logit_bias", "continue_final_message", "echo"]


@pytest.mark.anyio
async def test_llama_cpp_goes_on_with_a_last_message_unasked_and_takes_variables() -> None:
    server = LlamaCpp()
    begun = (Message("user", "Hi"), Message("assistant", "Sure,"))
    options = TemplateOptions(continue_final=True, variables={"enable_thinking": False})
    check_shape(await answer(server, ask(messages=begun, template=options)))
    assert server.seen["messages"][-1] == {"role": "assistant", "content": "Sure,"}
    assert server.seen["chat_template_kwargs"] == {"enable_thinking": False}
    assert "continue_final_message" not in server.seen


@pytest.mark.anyio
async def test_a_stop_string_goes_with_prose_alone() -> None:
    for more, stops in (({}, ["x"]), ({"grammar": JsonObject()}, None)):
        server = Vllm()
        await answer(server, ask(sampling=SamplingParams(max_tokens=8, stop=("x",)), **more))
        assert server.seen.get("stop") == stops
