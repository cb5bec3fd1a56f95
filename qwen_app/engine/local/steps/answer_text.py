"""The text of a growing answer: what may be shown of it by now, and the log-probabilities that belong to that."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from qwen_app.engine.local.steps.detokenize import Detokenizer
from qwen_app.messages import TokenLogprob
from qwen_app.tools.stop_search import StopSearch


class AnswerText:
    """``text`` is what has been shown. Log-probabilities go out with the text of their tokens and end where it does.

    ``last_begins``: the last token is the first of a text that continues no other.
    """

    def __init__(self, detokenizer: Detokenizer, stops: StopSearch) -> None:
        self._detokenizer = detokenizer
        self._stops = stops
        self._decoded_chars = 0
        self._token_start = 0  # the last token's place in the text, shown or not
        self._waiting: deque[tuple[int, TokenLogprob]] = deque()
        self._ended = False
        self.last_begins = False
        self.text = ""

    @property
    def ids(self) -> tuple[int, ...]:
        """Those that spell ``text``. See ``Detokenizer.ids_of``."""
        return self._detokenizer.ids_of(self.text)

    @property
    def stop(self) -> str | None:
        """The stop string that was found, after which no more text comes."""
        return self._stops.stop

    @property
    def in_prose(self) -> bool:
        return self._stops.in_prose

    @property
    def may_call(self) -> bool:
        """Calls are told from its prose."""
        return self._stops.tells_calls

    @property
    def called(self) -> bool:
        """There is a call, whole or not."""
        return self._stops.called

    @property
    def in_named_call(self) -> bool:
        """A call that has its name is not at its end."""
        return self._stops.in_named_call

    def add(self, token_id: int, *, may_stop: bool) -> str:
        """The text that may be shown once ``token_id`` is there. Stop strings count where the answer ``may_stop``."""
        self._token_start = self._decoded_chars
        began = not self._detokenizer.begins
        decoded = self._detokenizer.add(token_id)
        self.last_begins = not (began or self._detokenizer.begins)
        self._decoded_chars += len(decoded)
        return self._shown(self._stops.feed(decoded, search=may_stop))

    def finish(self) -> str:
        """What was held back, at the end of the answer."""
        over = self._ended or self.stop is not None
        self._ended = True
        return "" if over else self._shown(self._stops.finish())

    def _shown(self, text: str) -> str:
        self.text += text
        return text

    def logprobs(self, last: TokenLogprob | None = None) -> tuple[TokenLogprob, ...]:
        """Those whose text has been shown since they were last asked for. ``last`` is the last token's."""
        if last is not None:
            self._waiting.append((self._token_start, last))
        shown, chars = [], len(self.text)
        while self._waiting and (self._waiting[0][0] < chars or (self._ended and self.stop is None)):
            start, token = self._waiting.popleft()
            shown.append(self._cut(token, chars - start) if self.stop is not None else token)
        return tuple(shown)

    def _cut(self, token: TokenLogprob, chars: int) -> TokenLogprob:
        """The token in which a stop string begins, as far as it is shown."""
        if len(token.text) <= chars:
            return token
        return replace(token, text=token.text[:chars], bytes=token.text[:chars].encode())
