"""A folder of safetensors as a source of weights: in floats, or in 4 bits as GPTQ and AWQ write them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from safetensors import safe_open

from qwen_app.errors import ModelFilesError
from qwen_app.linear.int4_weight import GROUP_SIZES, Int4Weight
from qwen_app.linear.row_slices import row_slices
from qwen_app.models.quantised.skeleton import Weight

AWQ_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)  # the column of eight that each nibble of a number holds, from the lowest
IN_ORDER = (0, 1, 2, 3, 4, 5, 6, 7)
MOST_IN_A_GROUP = GROUP_SIZES[-1]
LESS_ONE = 0x11111111  # what GPTQ's first format takes from eight zero points at once, with all it borrows


class SafetensorsFolder:
    """Tensors of ``files``. ``quantised`` makes a weight of a layer's parts where it has ``qweight``."""

    def __init__(self, files: Sequence[Path], quantised: Callable[[Mapping[str, torch.Tensor]], Int4Weight]) -> None:
        self._quantised = quantised
        self._opened = [safe_open(path, "pt") for path in files]
        self._places = {_full(name): (name, opened) for opened in self._opened for name in opened.keys()}  # noqa: SIM118

    def tensor(self, name: str) -> torch.Tensor | None:
        if name not in self._places:
            return None
        stored_name, opened = self._places[name]
        found: torch.Tensor = opened.get_tensor(stored_name)
        return found

    def matrix(self, module: str) -> Weight | None:
        if f"{module}.qweight" not in self._places:
            return self.tensor(f"{module}.weight")
        parts = {part: self.tensor(f"{module}.{part}") for part in ("qweight", "qzeros", "scales", "g_idx")}
        found = {name: part for name, part in parts.items() if part is not None}
        _need_layout(module, found)
        return self._quantised(found)


def _full(name: str) -> str:
    """The name beside an output head of a tensor whose decoder was saved by itself."""
    return f"model.{name}" if name.startswith(("embed_tokens.", "layers.", "norm.")) else name


def float_folder(files: Sequence[Path]) -> SafetensorsFolder:
    return SafetensorsFolder(files, _refused)


def gptq_folder(files: Sequence[Path], config: Mapping[str, object]) -> SafetensorsFolder:
    """GPTQ's layout. ``config`` is the checkpoint's ``quantization_config``. Raises ModelFilesError for not 4 bits."""
    _need_four_bits(config.get("bits"))
    taken = 0 if config.get("checkpoint_format") == "gptq_v2" else LESS_ONE

    def weight_of(parts: Mapping[str, torch.Tensor]) -> Int4Weight:
        codes = _nibbles(parts["qweight"].t(), IN_ORDER)  # [out, in]: eight inputs share a number
        zeros = _nibbles(parts["qzeros"] + taken, IN_ORDER)
        return _int4(codes, zeros, parts["scales"], parts.get("g_idx"))

    return SafetensorsFolder(files, weight_of)


def awq_folder(files: Sequence[Path], config: Mapping[str, object]) -> SafetensorsFolder:
    """AWQ's layout for its matrix kernel (``gemm``). Raises ModelFilesError for other than 4 bits or another layout."""
    _need_four_bits(config.get("bits", config.get("w_bit")))
    if str(config.get("version") or "gemm").lower() != "gemm":
        raise ModelFilesError(f"AWQ checkpoints of the layout {config.get('version')} are not read here, only gemm.")

    def weight_of(parts: Mapping[str, torch.Tensor]) -> Int4Weight:
        codes = _nibbles(parts["qweight"], AWQ_ORDER).t().contiguous()
        return _int4(codes, _nibbles(parts["qzeros"], AWQ_ORDER), parts["scales"], None)

    return SafetensorsFolder(files, weight_of)


def _nibbles(numbers: torch.Tensor, order: Sequence[int]) -> torch.Tensor:
    """uint8 ``[rows, 8 * columns]`` of int32 ``[rows, columns]``."""
    shifts = torch.tensor([4 * order.index(place) for place in range(8)], dtype=torch.int32)
    return torch.cat([((rows[..., None] >> shifts) & 15).to(torch.uint8).flatten(1) for rows in row_slices(numbers)])


def _int4(codes: torch.Tensor, zeros: torch.Tensor, scales: torch.Tensor, groups: torch.Tensor | None) -> Int4Weight:
    """``(codes - zeros) * scales``, with zeros and scales ``[groups, out]``."""
    if zeros.shape != scales.shape or scales.shape[1] != codes.shape[0] or codes.shape[1] % scales.shape[0]:
        shapes = ", ".join(str(list(part.shape)) for part in (codes, zeros, scales))
        raise ModelFilesError(f"A layer's codes, zero points and scales do not fit together: {shapes}.")
    size = codes.shape[1] // scales.shape[0]
    if groups is not None and not torch.equal(groups.long(), torch.arange(codes.shape[1]) // size):
        raise ModelFilesError("GPTQ checkpoints with desc_act (columns out of order) are not read here.")
    scales = scales.float().t()
    minimums = -zeros.t().int() * scales
    if size > MOST_IN_A_GROUP:  # one scale a row, or so: the same scale for each of several groups
        group = next((group for group in reversed(GROUP_SIZES) if size % group == 0), 0)
        if not group:
            raise ModelFilesError(
                f"Groups of {size} weights are not read here, only of a multiple of {GROUP_SIZES[0]}."
            )
        repeats = size // group
        scales, minimums = scales.repeat_interleave(repeats, 1), minimums.repeat_interleave(repeats, 1)
    return Int4Weight(codes, scales.contiguous(), minimums.contiguous())


def _need_layout(module: str, parts: Mapping[str, torch.Tensor]) -> None:
    for name in ("qweight", "qzeros", "scales"):
        if name not in parts or parts[name].dim() != 2 or 0 in parts[name].shape:
            raise ModelFilesError(f"{module}.{name} is missing or no matrix. Fetch the model again.")


def _need_four_bits(bits: object) -> None:
    if str(bits) != "4":
        raise ModelFilesError(f"Checkpoints of {bits} bits are not read here, only those of 4.")


def _refused(parts: Mapping[str, torch.Tensor]) -> Int4Weight:
    raise ModelFilesError("The weights are quantised, and config.json does not say how.")
