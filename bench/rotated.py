"""The same function with other weights: for checkpoints that were 4-bit already, as the built-in model's.

RMS norm commutes with rotations of its input, so the residual stream of a model of the Llama family can be turned by
any orthogonal matrix once the norms' weights are folded into the layers behind them (QuaRot, arXiv 2404.00456, section
3). The rotated weights lie on no grid, and every precision has to round them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel


@torch.no_grad()
def rotate(model: PreTrainedModel) -> None:
    """Turn ``model``, of the Llama family in float32, in place. Its head is a matrix of its own then."""
    embedding: Any = model.get_input_embeddings()
    words, size = embedding.weight.shape
    normal = torch.randn(size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    turn = torch.linalg.qr(normal)[0].float()
    body: Any = model.get_decoder()
    head = nn.Linear(size, words, bias=False)
    _turn_inputs(head, body.norm.weight, turn, model.get_output_embeddings().weight)
    embedding.weight = nn.Parameter(embedding.weight @ turn)
    model.config.tie_word_embeddings = False
    model.set_output_embeddings(head)
    body.norm.weight.fill_(1)
    for layer in body.layers:
        attention, mlp = layer.self_attn, layer.mlp
        for projection in (attention.q_proj, attention.k_proj, attention.v_proj):
            _turn_inputs(projection, layer.input_layernorm.weight, turn, projection.weight)
        for projection in (mlp.gate_proj, mlp.up_proj):
            _turn_inputs(projection, layer.post_attention_layernorm.weight, turn, projection.weight)
        for projection in (attention.o_proj, mlp.down_proj):
            projection.weight = nn.Parameter(turn.t() @ projection.weight)
        layer.input_layernorm.weight.fill_(1)
        layer.post_attention_layernorm.weight.fill_(1)


def _turn_inputs(layer: nn.Linear, norm: torch.Tensor, turn: torch.Tensor, weight: torch.Tensor) -> None:
    """The layer reads what a norm of these weights made of the turned stream."""
    layer.weight = nn.Parameter((weight * norm) @ turn)
