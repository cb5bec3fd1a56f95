"""instructor over the openai SDK."""

import instructor
from checks import QUESTION, TOKENS, V1, run
from openai import OpenAI
from pydantic import BaseModel

client = OpenAI(base_url=V1, api_key="none", max_retries=0)
asked = {"model": "default", "messages": [{"role": "user", "content": QUESTION}], "max_retries": 0}


class Weather(BaseModel):
    city: str
    degrees: int


def by(mode):
    return lambda: instructor.from_openai(client, mode=mode).create(**asked, max_tokens=TOKENS, response_model=Weather)


def partial():
    made = instructor.from_openai(client, mode=instructor.Mode.TOOLS)
    return list(made.create_partial(**asked, max_tokens=TOKENS, response_model=Weather))


def responses():
    made = instructor.from_openai(client, mode=instructor.Mode.RESPONSES_TOOLS)
    return made.create(**asked, max_output_tokens=TOKENS, response_model=Weather)


run(schema=by(instructor.Mode.JSON_SCHEMA), tools=by(instructor.Mode.TOOLS), stream=partial, responses=responses)
