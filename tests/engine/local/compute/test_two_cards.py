"""A model that two cards share: every tensor of a step meets its like on one card, and the answer is the same."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves
from transformers import PreTrainedModel

from qwen_app.engine.local.attention.batch import QuerySpan, use_slots
from qwen_app.engine.local.attention.kv_cache import KVCache, KVShape
from qwen_app.engine.local.attention.sdpa import SdpaAttention
from qwen_app.engine.local.compute.decoder import Decoder
from qwen_app.engine.local.compute.model_runner import ModelRunner, ScheduledChunk
from qwen_app.kernels.cuda.launch import on_card_of
from qwen_app.linear.join import SideBySide
from qwen_app.switches import Switches
from tests.engine.local.cuda_without_card import CPU, cache_for, small_qwen

FIRST, SECOND = torch.device("cuda:0"), torch.device("cuda:1")
LENGTH = 32
CHUNKS = [
    ScheduledChunk(QuerySpan(0, 5, 1), [1], wants_logits=True),
    ScheduledChunk(QuerySpan(1, 0, 4), [1, 2, 3, 4], wants_logits=True),
]
MOVES = (torch.Tensor.to, torch.Tensor.copy_)
INDEXES = (torch.Tensor.__getitem__, torch.Tensor.__setitem__)  # by what lies on the CPU, on any card


def card_of(tensor: torch.Tensor) -> torch.device:
    return getattr(tensor, "card", CPU)


class TwoCards(TorchFunctionMode):
    """Tensors on the CPU that say they lie on a card. As on real ones, what lies on different cards does not meet."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func == torch.Tensor.device.__get__:  # type: ignore[attr-defined]
            return card_of(args[0])
        kwargs = dict(kwargs or {})
        asked = kwargs.pop("device", None)
        if func == torch.Tensor.to:
            asked = next((one for one in args if isinstance(one, torch.device)), asked)
            args = tuple(one for one in args if not isinstance(one, torch.device))
        tensors = [one for one in tree_leaves((args, kwargs)) if isinstance(one, torch.Tensor)]
        cards = {card_of(tensor) for tensor in tensors if tensor.dim() or card_of(tensor) != CPU}
        if func in INDEXES and len(cards) > 1:
            cards.discard(CPU)
        assert func in MOVES or len(cards) <= 1, (func, [card_of(t) for t in tensors])
        result = func(*args, **kwargs) if len(args) + len(kwargs) > 1 or func != torch.Tensor.to else args[0]
        home = asked if asked is not None else card_of(args[0]) if func in MOVES else next(iter(cards), CPU)
        return self._on(torch.device(home), result)

    def _on(self, card: torch.device, result: Any) -> Any:
        if isinstance(result, torch.Tensor) and card_of(result) != card:
            result = result.view_as(result)
            result.card = card  # type: ignore[attr-defined]
        if isinstance(result, (tuple, list)) and any(isinstance(one, torch.Tensor) for one in result):
            return tuple(self._on(card, one) for one in result)
        return result


def put(module: nn.Module, card: torch.device) -> None:
    for tensor in (*module.parameters(), *module.buffers()):
        tensor.card = card  # type: ignore[attr-defined,union-attr]


def shared_by_two(head: torch.device, rotary: torch.device) -> PreTrainedModel:
    """Two layers on each card, the embedding on the first, norm and head on ``head``."""
    model = small_qwen(layers=4)
    body = model.get_decoder()
    for part, card in [(body.embed_tokens, FIRST), (body.norm, head), (model.get_output_embeddings(), head)]:
        put(part, card)
    for number, layer in enumerate(body.layers):
        put(layer, FIRST if number < 2 else SECOND)

    def to_its_card(module: nn.Module, given: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        put(module, rotary)
        return tuple(tensor.to(rotary) for tensor in given)

    body.rotary_emb.register_forward_pre_hook(to_its_card)  # as accelerate does for what its map places
    return model


@pytest.mark.parametrize("head", [FIRST, SECOND])
@pytest.mark.parametrize("rotary", [FIRST, SECOND])
def test_a_step_of_a_shared_model_ends_where_tokens_are_drawn(
    head: torch.device, rotary: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = small_qwen(layers=4)
    use_slots(whole)
    want = ModelRunner(whole, SdpaAttention(cache_for(whole, slots=2, length=LENGTH), 4), CPU).forward(CHUNKS)
    monkeypatch.setattr("qwen_app.engine.local.attention.transfer.pinned", lambda host, device: host)
    monkeypatch.setattr(nn.Module, "to", lambda module, card: module)
    # What is joined forgets its card here.
    monkeypatch.setattr(
        "qwen_app.engine.local.compute.decoder.joined",
        lambda owner, names: SideBySide([owner.get_submodule(name) for name in names]),
    )
    with TwoCards():
        model = shared_by_two(head, rotary)
        decoder = Decoder(model, LENGTH, Switches(fused_kernels=False))
        places = [FIRST, FIRST, SECOND, SECOND]
        cache = KVCache(KVShape.of(model.config, torch.float32), slots=2, length=LENGTH, devices=places)
        logits = ModelRunner(decoder, SdpaAttention(cache, 4), FIRST).forward(CHUNKS)
        assert logits.device == FIRST
    torch.testing.assert_close(logits, want, atol=1e-4, rtol=1e-4)


def test_a_kernel_of_ours_is_launched_on_the_card_of_its_tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Triton launches on the current card, where the addresses of another's tensors are nobody's."""
    current: list[torch.device] = []

    class OnCard:
        def __init__(self, device: torch.device) -> None:
            self._device = device

        def __enter__(self) -> None:
            current.append(self._device)

        def __exit__(self, *_: object) -> None:
            current.pop()

    class OnSecond(torch.Tensor):
        is_cuda = True
        device = SECOND

    monkeypatch.setattr("torch.cuda.device", OnCard)
    with on_card_of(OnSecond()):
        assert current == [SECOND]
    assert not current
    with on_card_of(torch.empty(1)):
        assert not current
