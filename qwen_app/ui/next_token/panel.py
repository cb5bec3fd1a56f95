"""The panel among the settings: a button that asks for one token, and the picture of what it could be."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import gradio as gr
from gradio.blocks import Block

from qwen_app.errors import AppError
from qwen_app.messages import GenerationRequest, TokenLogprob
from qwen_app.service import Service
from qwen_app.ui.next_token.distribution import next_tokens
from qwen_app.ui.shared.context import QUEUED, PageContext, visitor
from qwen_app.ui.shared.handlers import Updates, Values, language_of
from qwen_app.ui.shared.strings import Texts
from qwen_app.ui.shared.theme import widget_script

PromptOf = Callable[[Values, str], Awaitable[GenerationRequest]]  # of what the page holds, and who asks
_SCRIPT = Path(__file__).with_name("next_token.js")


class NextToken:
    """Its components, added to the Blocks being built. ``wire`` once it is known what the prompt is made of."""

    def __init__(self, page: PageContext) -> None:
        self._page = page
        self._button = gr.Button(size="sm", elem_id="next-token-button")
        page.localize(self._button, value="next_token")
        self._picture = gr.HTML(
            "{}",
            html_template='<div id="next-token"></div>',
            js_on_load=widget_script(_SCRIPT),
            elem_id="next-token-box",
            apply_default_css=False,
        )

    def wire(self, inputs: set[Block], prompt_of: PromptOf) -> None:
        """Ask when the button is clicked. ``prompt_of`` gives the request of the draft, or raises AppError."""

        async def ask(values: Values, request: gr.Request) -> Updates:
            texts = Texts(language_of(values[self._page.language]))
            return {self._picture: await self._value(values, visitor(request), prompt_of, texts)}

        self._button.click(ask, inputs | {self._page.language}, [self._picture], **QUEUED)

    async def _value(self, values: Values, user: str, prompt_of: PromptOf, texts: Texts) -> str:
        service = self._page.service
        try:
            if not service.info().logprobs:
                return json.dumps({"problem": texts("no_logprobs")})
            tokens = await next_tokens(service, await prompt_of(values, user))
        except AppError as error:
            return json.dumps({"problem": texts.error(error.code, error.message)}, ensure_ascii=False)
        return picture_json(tokens, service, texts)


def picture_json(tokens: tuple[TokenLogprob, ...], service: Service, texts: Texts) -> str:
    """What the script draws from: tokens with their log-probabilities, the model's top-k, and the words."""
    keys = {"label": "next_token_label", "others": "next_token_others", "drawn": "next_token_drawn"}
    words = {name: texts(key) for name, key in keys.items()}
    shown = {
        "tokens": [[token.text, round(token.logprob, 4)] for token in tokens],
        "top_k": service.info().sampling.top_k,
        "words": words,
    }
    return json.dumps(shown, ensure_ascii=False)
