"""Optimisations that can be switched off one by one: to find out which is at fault, and what each brings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Switches:
    """What of the local engine's means is used; answers are the same with and without, but for rounding.

    cuda_graphs: decode steps are replayed as CUDA graphs. flash_attention: on a card. decode_attention: our own
    kernels for rows of one token. own_decoder: the Llama family is computed by our decoder, not transformers' forward.
    fused_kernels: what lies between its products is one launch or call each. few_rows: float32 products on a CPU are
    turned around where that is faster, and those of 4 and 8 bits use our kernels. prefix_cache: what a user's last
    prompts left in the KV cache is used again. kv_offload: conversations that lose their slot are kept in host memory.
    forced_tokens: what a grammar forces is read in one step. drafts: prompt lookup. overlap: on a card, a step is
    launched before the tokens of the last are read, and kv_offload copies beside the steps.
    """

    cuda_graphs: bool = True
    flash_attention: bool = True
    decode_attention: bool = True
    own_decoder: bool = True
    fused_kernels: bool = True
    few_rows: bool = True
    prefix_cache: bool = True
    kv_offload: bool = True
    forced_tokens: bool = True
    drafts: bool = True
    overlap: bool = True

    @classmethod
    def names(cls) -> list[str]:
        """All of them, as people write them."""
        return [field.name.replace("_", "-") for field in fields(cls)]

    @classmethod
    def without(cls, names: Iterable[str]) -> Switches:
        """All on but those named. Raises ValueError where a name is none of ``names()``."""
        off = list(names)
        unknown = sorted(set(off) - set(cls.names()))
        if unknown:
            raise ValueError(f"knows no {unknown[0]}: there are {', '.join(cls.names())}")
        return cls(**{name.replace("-", "_"): False for name in off})
