"""instructor as a client: an answer in a class, by a forced call and by a schema, whole and streamed."""

from __future__ import annotations

import instructor
import pytest
from openai import OpenAI
from pydantic import BaseModel

from tests.api.clever import GREETING
from tests.api.serving import Api

MODES = [instructor.Mode.TOOLS, instructor.Mode.JSON_SCHEMA]


class Greeting(BaseModel):
    words: str
    times: int


@pytest.fixture(scope="module")
def url(clever_api: Api) -> str:
    return f"{clever_api.url}/v1"


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES, ids=[mode.value for mode in MODES])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_an_answer_in_a_class(url: str, mode: instructor.Mode, stream: bool) -> None:
    with OpenAI(base_url=url, api_key="none", max_retries=0) as client:
        create = instructor.from_openai(client, mode=mode).chat.completions
        asked = {"model": "default", "response_model": Greeting, "messages": [{"role": "user", "content": "Greet me."}]}
        greeting = list(create.create_partial(**asked))[-1] if stream else create.create(**asked)
    assert (greeting.words, greeting.times) == (GREETING, 3)
