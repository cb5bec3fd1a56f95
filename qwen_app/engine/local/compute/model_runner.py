"""Model runner: one forward pass, packed tokens in, logits out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from transformers import PreTrainedModel

from qwen_app.engine.local.attention.batch import Attention, Batch, QuerySpan
from qwen_app.engine.local.attention.transfer import to_device
from qwen_app.engine.local.compute.cuda_graphs import DecodeGraphs
from qwen_app.engine.local.compute.decoder import Decoder


@dataclass(frozen=True, slots=True)
class ScheduledChunk:
    """Tokens to compute for one slot. ``wants_logits`` for its last token: False inside a prompt. With ``scores``
    logits of all its tokens are wanted, whatever that one says. The last ``drafted`` tokens are guesses: logits are
    wanted of the one before them and of each."""

    span: QuerySpan
    token_ids: Sequence[int]
    wants_logits: bool
    scores: bool = False
    drafted: int = 0

    @property
    def rows(self) -> int:
        """How many rows of logits are wanted, of its last tokens."""
        return self.span.length if self.scores else int(self.wants_logits) + self.drafted


class Runner(Protocol):
    """What a step needs of a ModelRunner."""

    def forward(self, chunks: Sequence[ScheduledChunk], drawn: torch.Tensor | None = None) -> torch.Tensor: ...


class ModelRunner:
    """Runs the model over packed tokens. ``device`` is where ids go in. ``graphs``, if any, replay decode steps."""

    def __init__(
        self,
        model: PreTrainedModel | Decoder,
        attention: Attention,
        device: torch.device,
        graphs: DecodeGraphs | None = None,
    ) -> None:
        self._model = model
        self.attention = attention
        self._cache = attention.cache
        self._device = device
        self.graphs = graphs
        # On several cards nobody says where the last hidden state lies. What comes from the CPU may index any of them.
        self._index_device = device if self._cache.devices == {device} else torch.device("cpu")

    @property
    def replays(self) -> bool:
        """Whether decode steps were captured."""
        return self.graphs is not None and bool(self.graphs.captured)

    def prepare(self) -> bool:
        """Capture one more decode step; all are to be there before a first request. False when none is left."""
        return self.graphs is not None and self.graphs.capture_next()

    @torch.inference_mode()
    def forward(self, chunks: Sequence[ScheduledChunk], drawn: torch.Tensor | None = None) -> torch.Tensor:
        """Logits ``[rows that chunks want, vocab]``, in their order; valid until the next call.

        Keys and values land in the cache. ``drawn``, int64 ``[chunks]`` on the device, are the tokens of a decode step
        themselves, where the host does not know them yet; those of the chunks only hold their places.
        """
        decoding = all(chunk.wants_logits and chunk.span.length == 1 and not chunk.scores for chunk in chunks)
        if self.graphs and decoding:
            spans = [chunk.span for chunk in chunks]
            captured = self.graphs.fitting(len(spans), max(span.end for span in spans))
            if captured:
                return self.graphs.replay(captured, spans, [chunk.token_ids[0] for chunk in chunks], drawn)
        return self.forward_uncaptured(chunks, drawn)

    @torch.inference_mode()
    def forward_uncaptured(self, chunks: Sequence[ScheduledChunk], drawn: torch.Tensor | None = None) -> torch.Tensor:
        """As ``forward``, kernel by kernel."""
        input_ids, position_ids, slot_mapping = self._packed(chunks)
        input_ids = input_ids if drawn is None else drawn
        # Every layer stores its keys and values and calls Attention.attend: our decoder by itself, transformers' model
        # through the function that use_slots() registered.
        output = self._model(
            input_ids=input_ids[None],
            position_ids=position_ids[None],
            use_cache=False,
            logits_to_keep=self._last_tokens(chunks),
            batch=Batch.planned([chunk.span for chunk in chunks], slot_mapping, self.attention),
        )
        logits: torch.Tensor = output.logits[0].to(self._device)  # the head may lie on another card than the sampler
        if any(chunk.rows for chunk in chunks):
            return logits
        for device in self._cache.devices:  # nothing else waits for such a step, and its time has to be known
            if device.type == "cuda":
                torch.cuda.current_stream(device).synchronize()  # not the device, which may copy beside it
        return logits[:0]

    def _packed(self, chunks: Sequence[ScheduledChunk]) -> torch.Tensor:
        """int64 ``[3, tokens]``: ids, positions and cells, in one transfer."""
        token_ids = [token_id for chunk in chunks for token_id in chunk.token_ids]
        spans = [chunk.span for chunk in chunks]
        positions = [position for span in spans for position in range(span.start, span.end)]
        slot_mapping = [
            cell
            for span in spans
            for cell in range(self._cache.cell(span.slot, span.start), self._cache.cell(span.slot, span.end))
        ]
        return to_device([token_ids, positions, slot_mapping], torch.int64, self._device)

    def _last_tokens(self, chunks: Sequence[ScheduledChunk]) -> torch.Tensor:
        last: list[int] = []
        end = 0
        for chunk in chunks:
            end += chunk.span.length
            last.extend(range(end - chunk.rows, end))
        # The model's head needs a row, wanted or not.
        return to_device(last or [end - 1], torch.int64, self._index_device)
