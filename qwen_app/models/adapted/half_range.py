"""FP16's range: whether a model's numbers stay within it, seen on one fixed text before the first question.

FP16 ends at 65,504. Some layers of Qwen2.5 come near it, and what overflows is infinite, then NaN: the answer is
"!!!!" or nothing. BF16 has float32's range, and is what such checkpoints were trained in.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

log = logging.getLogger(__name__)

SAFE = 3e4  # less than half of what FP16 holds: other texts go a little further than this one
TEXT = (
    'The quick brown fox jumps over the lazy dog. 1234567890 + 0.5 = ? {"name": "value", "list": [1, 2, 3]}\n'
    "def f(x):\n    return x ** 2\n\u4f60\u597d\uff0c\u4e16\u754c\u3002\u4eca\u5929\u5929\u6c14\u600e\u4e48\u6837\uff1f"
)


def within_half_range(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, precision: str) -> str:
    """The precision to run ``model`` in: its own, or bf16 where its numbers leave FP16's range, which it then is in.

    Weights that are quantised stay as they are, with an error in the log. Looks at models in FP16 alone.
    """
    import torch

    if model.dtype != torch.float16:
        return precision
    largest = largest_number(model, tokenizer)
    if largest <= SAFE:
        return precision
    flaw = "are no numbers" if largest != largest else f"reach {largest:,.0f}"
    if precision == "fp16" and _has_bf16(model.device):
        log.warning("The numbers of this model %s in FP16, whose range ends at 65,504: it runs in BF16 instead.", flaw)
        for parameter in model.parameters():  # buffers, as the angles' frequencies, stay in float32
            parameter.data = parameter.data.to(torch.bfloat16)
        return "bf16"
    log.error("The numbers of this model %s in FP16, whose range ends at 65,504: answers may break off.", flaw)
    return precision


def largest_number(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> float:
    """The largest magnitude that modules of any layer are handed or give for the text; NaN where one is.

    What they are handed, too: gate times up, an MLP's largest numbers, is what no module gives.
    """
    import torch

    seen: list[torch.Tensor] = []

    def look(module: torch.nn.Module, inputs: tuple[object, ...], output: object) -> None:
        first = output[0] if isinstance(output, tuple) else output
        for tensor in (*inputs, first):
            if isinstance(tensor, torch.Tensor) and tensor.is_floating_point():
                seen.append(tensor.abs().amax().float().cpu())

    body = model.get_decoder()
    layers = getattr(body, "layers", [body])  # what has none is not run here, which is told later
    hooks = [part.register_forward_hook(look) for layer in layers for part in layer.modules()]
    try:
        with torch.inference_mode():
            ids = tokenizer(TEXT, return_tensors="pt").input_ids.to(model.device)
            model(input_ids=ids, use_cache=False, logits_to_keep=1)
    finally:
        for hook in hooks:
            hook.remove()
    return float(torch.stack(seen).amax()) if seen else 0.0


def _has_bf16(device: torch.device) -> bool:
    import torch

    return device.type != "cuda" or torch.cuda.get_device_capability(device) >= (8, 0)
