"""What the runner hands to a model that lies on several cards."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from qwen_app.engine.local.attention.batch import QuerySpan
from qwen_app.engine.local.attention.kv_cache import KVCache, KVShape
from qwen_app.engine.local.attention.sdpa import SdpaAttention
from qwen_app.engine.local.compute.model_runner import ModelRunner, ScheduledChunk
from tests.engine.local.cuda_without_card import CPU

META = torch.device("meta")


@pytest.mark.parametrize(("layers", "where"), [([META, META], META), ([META, CPU], CPU)])
def test_which_rows_to_keep_is_told_where_any_card_may_read_it(layers: list[torch.device], where: torch.device) -> None:
    """A tensor on the first card cannot index what lies on the second; one on the CPU can."""
    told: dict[str, Any] = {}

    def model(**arguments: Any) -> SimpleNamespace:
        told.update(arguments)
        return SimpleNamespace(logits=torch.zeros(1, 1, 8))

    cache = KVCache(KVShape(2, 1, 8, torch.float32), slots=1, length=8, devices=layers)
    runner = ModelRunner(model, SdpaAttention(cache, 1), META)  # type: ignore[arg-type]
    runner.forward([ScheduledChunk(QuerySpan(0, 0, 3), [1, 2, 3], wants_logits=True)])
    assert told["logits_to_keep"].device == where
    assert told["input_ids"].device == META
