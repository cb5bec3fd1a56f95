from __future__ import annotations

import dataclasses

from qwen_app.errors import EngineError
from qwen_app.messages import Failed, Finished, Timings, Usage
from qwen_app.ui.shared.run_line import Run, run_line, run_of
from qwen_app.ui.shared.stream import Progress
from qwen_app.ui.shared.strings import Texts

RUN = Run("stop", 1200, 34, 1000, first_token_s=0.5, total_s=2, tokens_per_s=20.04, seed=7)


def test_the_line_under_an_answer() -> None:
    assert run_line(RUN, Texts("en")) == (
        "Finished · first token 0.50 s · 20.0 tokens/s · 1,200 + 34 tokens · 1,000 reused · seed 7"
    )
    assert run_line(Run("length", closed=True), Texts("zh")) == "达到最长回答后截断 · 已补全为有效 JSON"


def test_records_of_answers() -> None:
    writing = Progress("ended", text="ab", prompt_tokens=9, completion_tokens=3, first_token_s=1, elapsed_s=2)
    end = Finished("length", Usage(9, 3, 4), Timings(0.1, 0.6, 1.6), seed=5, closed=True)
    finished = run_of(dataclasses.replace(writing, end=end))
    assert (finished.reason, finished.tokens_per_s, finished.seed, finished.closed) == ("length", 2.0, 5, True)
    failed = run_of(dataclasses.replace(writing, end=Failed(EngineError("no"), "ab")))
    assert (failed.reason, failed.error_code, failed.error_text) == ("failed", "engine_error", "no")
    stopped = run_of(dataclasses.replace(writing, phase="stopped"))
    assert (stopped.reason, stopped.completion_tokens, stopped.tokens_per_s) == ("cancelled", 3, 2.0)
    assert run_of(Progress("stopped")).tokens_per_s == 0
