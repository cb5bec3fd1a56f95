"""Which checkpoints' 4-bit weights are taken over as they are: by their format and their architecture alone."""

from __future__ import annotations

TAKEN_OVER = frozenset({"gptq", "awq"})  # as "quant_method" names them
# Architectures whose modules are named as the tensors of their checkpoints.
PLAIN_NAMES = frozenset({"llama", "mistral", "qwen2", "qwen3"})


def are_taken_over(quantisation: str, architecture: object) -> bool:
    """Whether weights of such a checkpoint stay in 4 bits; others are read by the package of their format."""
    return quantisation in TAKEN_OVER and architecture in PLAIN_NAMES
