"""DSPy."""

import dspy
from checks import QUESTION, TOKENS, V1, run

model = dspy.LM("openai/default", api_base=V1, api_key="none", max_tokens=TOKENS, num_retries=0, cache=False)
messages = [{"role": "user", "content": QUESTION}]

run(
    chat=lambda: model(QUESTION)[0],
    json=lambda: model(messages=messages, response_format={"type": "json_object"})[0],
    responses=lambda: dspy.LM(
        "openai/default", model_type="responses", api_base=V1, api_key="none", max_tokens=TOKENS, cache=False
    )(QUESTION)[0],
)
