"""Qwen2.5-7B's shape with random weights, in each precision: speed and memory do not depend on what the weights say."""

from __future__ import annotations

import gc
import importlib
from collections.abc import Sequence
from typing import Any

import torch
from transformers import AutoModelForCausalLM, GenerationConfig, PreTrainedModel, PreTrainedTokenizerFast, Qwen2Config

from bench.gpu.options import Options
from qwen_app.engine.local.compute.parts import ComputeParts, build_compute_parts
from qwen_app.messages import SamplingParams
from qwen_app.models.device import use_expandable_segments
from qwen_app.models.loading.loaded_model import LoadedModel, weights_bytes
from qwen_app.models.quantised.skeleton import HEAD, WeightPlacement, build_quantised

TEXT_VOCABULARY = 151_665
OFFLOAD_BYTES = 2 * 10**9
INITIAL_STD = 0.02
QWEN = SamplingParams(temperature=0.7, top_p=0.8, top_k=20, repetition_penalty=1.05)
SEVEN_B: dict[str, Any] = {
    "vocab_size": 152_064,
    "hidden_size": 3584,
    "intermediate_size": 18_944,
    "num_hidden_layers": 28,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
    "max_position_embeddings": 32_768,
    "rope_theta": 1_000_000.0,
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": False,
}
TINY: dict[str, Any] = SEVEN_B | {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}


def random_model(precision: str, options: Options, layers: int = 0, never: Sequence[int] = ()) -> PreTrainedModel:
    """With as many ``layers`` as the real one, unless told otherwise. The ids ``never`` are hardly ever its answer."""
    torch.manual_seed(0)
    half = torch.bfloat16 if precision in ("bf16", "int4") else torch.float16
    dtype = half if options.on_card else torch.float32
    shape = TINY if options.tiny else SEVEN_B
    config = Qwen2Config(**shape | ({"num_hidden_layers": layers} if layers else {}))
    if precision == "int4":  # tensor by tensor, as the loader does it: the whole in floats would leave memory in pieces
        placement = WeightPlacement(options.device, dtype)
        if options.on_card:
            use_expandable_segments()
        packed: PreTrainedModel = build_quantised(config, _RandomWeights(config, placement, never), placement).eval()
        return packed
    with torch.device(options.device), torch.no_grad():
        model: PreTrainedModel = AutoModelForCausalLM.from_config(config, dtype=dtype).eval()
        model.get_output_embeddings().weight[list(never)] = 0
    if precision == "nf4":
        _to_nf4(model, options.device)
    return model


class _RandomWeights:
    """A checkpoint that says nothing, of ``config``'s shapes."""

    def __init__(self, config: Qwen2Config, placement: WeightPlacement, never: Sequence[int]) -> None:
        with torch.device("meta"):
            self._shapes = {
                name: empty.shape for name, empty in AutoModelForCausalLM.from_config(config).named_parameters()
            }
        self._placement = placement
        self._never = list(never)

    def matrix(self, module: str) -> torch.Tensor:
        device, dtype = self._placement.device, self._placement.dtype
        weight = torch.randn(self._shapes[f"{module}.weight"], device=device, dtype=dtype).mul_(INITIAL_STD)
        if module == HEAD:
            weight[self._never] = 0
        return weight

    def tensor(self, name: str) -> torch.Tensor | None:
        if name not in self._shapes:
            return None
        make = torch.zeros if name.endswith(".bias") else torch.ones
        return make(self._shapes[name], device=self._placement.device, dtype=self._placement.dtype)


def _to_nf4(model: PreTrainedModel, device: torch.device) -> None:
    """NF4 with double quantisation in every linear layer but the head, as the loader does it."""
    layers: Any = importlib.import_module("bitsandbytes").nn
    for parent in list(model.get_decoder().modules()):
        for name, child in list(parent.named_children()):
            if type(child) is not torch.nn.Linear:
                continue
            with torch.device("meta"):  # its own random weights would take longer than all the rest
                packed = layers.Linear4bit(
                    child.in_features,
                    child.out_features,
                    bias=child.bias is not None,
                    compute_dtype=child.weight.dtype,
                    compress_statistics=True,
                    quant_type="nf4",
                )
            weight = layers.Params4bit(
                child.weight.data.cpu(), requires_grad=False, compress_statistics=True, quant_type="nf4"
            )
            packed.weight, packed.bias = weight.to(device), child.bias
            setattr(parent, name, packed.eval())
    gc.collect()


def read_bytes(model: PreTrainedModel) -> int:
    """What a decode step has to read of the weights: all but the embedding's table."""
    return weights_bytes(model) - sum(weight.nbytes for weight in model.get_input_embeddings().parameters())


def engine_parts(model: PreTrainedModel, options: Options, *, slots: int, context_tokens: int) -> ComputeParts:
    """The engine's own parts around ``model``, without its worker: what a step costs, and what it gives."""
    return build_compute_parts(
        model,
        options.device,
        slots=slots,
        context_tokens=context_tokens,
        text_vocab_size=TEXT_VOCABULARY,
        offload_bytes=OFFLOAD_BYTES,
    )


def loaded_model(precision: str, options: Options, layers: int = 0) -> LoadedModel:
    """A random model as the loader would hand it over, with Qwen's own tokenizer. It hardly ever ends an answer."""
    from tests.qwen_vocabulary import END_OF_TEXT, END_OF_TURN, qwen_tokenizer
    from tests.tiny_qwen import CHAT_TEMPLATE

    model = random_model(precision, options, layers, never=(END_OF_TEXT, END_OF_TURN))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=qwen_tokenizer(), eos_token="<|im_end|>", pad_token="<|endoftext|>"
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    generation = GenerationConfig(
        do_sample=True,
        temperature=QWEN.temperature,
        top_p=QWEN.top_p,
        top_k=QWEN.top_k,
        repetition_penalty=QWEN.repetition_penalty,
        eos_token_id=[END_OF_TURN, END_OF_TEXT],
    )
    name = "tiny random Qwen2" if options.tiny else "random Qwen2.5-7B"
    return LoadedModel(model, tokenizer, name, "", precision, options.device, weights_bytes(model), generation)
