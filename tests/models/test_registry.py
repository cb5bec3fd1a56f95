"""Known models and what ``auto`` means."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from qwen_app.errors import DoesNotFit
from qwen_app.models.device import Device, imagined_card
from qwen_app.models.dims import ModelDims, dims_from_folder
from qwen_app.models.registry import DEFAULT, choose_model, choose_precision, known_model

CPU = Device("cpu", "CPU", 64_000_000_000, 60_000_000_000)


def dims(name: str) -> ModelDims:
    model = known_model(name)
    assert model is not None
    return model.dims


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("Qwen/Qwen2.5-0.5B-Instruct", 494_032_768),
        ("Qwen/Qwen2.5-1.5B-Instruct", 1_543_714_304),
        ("Qwen/Qwen2.5-3B-Instruct", 3_085_938_688),
        (DEFAULT, 7_615_616_512),
        ("Qwen/Qwen2.5-14B-Instruct", 14_770_033_664),
        ("Qwen/Qwen2.5-32B-Instruct", 32_763_876_352),
        ("Qwen/Qwen2.5-72B-Instruct", 72_706_203_648),
    ],
)
def test_published_parameter_counts(name: str, parameters: int) -> None:
    assert dims(name).parameters == parameters


def test_the_built_in_models_numbers_are_those_of_its_files(builtin_dir: Path) -> None:
    assert dims("builtin") == dims_from_folder(builtin_dir)


@pytest.mark.parametrize(
    ("device", "model", "precision"),
    [
        (imagined_card(80), DEFAULT, "fp16"),
        (imagined_card(24), DEFAULT, "fp16"),
        (imagined_card(20), DEFAULT, "fp16"),
        (imagined_card(19.9), DEFAULT, "int4"),
        (imagined_card(8), DEFAULT, "int4"),
        (replace(imagined_card(19.9), cards=2, first=imagined_card(9.9)), DEFAULT, "int4"),
        (replace(imagined_card(13), cards=2, first=imagined_card(6.5)), DEFAULT, "4bit"),  # has no room for int4
        (imagined_card(7.9), "builtin", "fp16"),
        (CPU, "builtin", "fp32"),
    ],
)
def test_auto(device: Device, model: str, precision: str) -> None:
    assert choose_model("auto", device) == model
    assert choose_precision("auto", dims(model), device) == precision


def test_a_file_of_4_bits_stays_and_a_large_model_on_a_cpu_is_made_one() -> None:
    assert choose_precision("auto", dims("builtin"), CPU, four_bit_file=True) == "int4"
    assert choose_precision("auto", dims(DEFAULT), imagined_card(24), four_bit_file=True) == "int4"
    assert choose_precision("auto", dims(DEFAULT), CPU) == "int4"
    assert choose_precision("auto", dims("Qwen/Qwen2.5-0.5B-Instruct"), CPU) == "fp32"
    assert choose_precision("fp32", dims("builtin"), CPU, four_bit_file=True) == "fp32"


OLD = Device("cuda", "Tesla T4", 15_800_000_000, 15_300_000_000, ampere=False)


def test_a_card_without_kernels_for_int4_holds_4_bits_as_nf4() -> None:
    assert choose_precision("auto", dims(DEFAULT), OLD) == "4bit"
    assert choose_precision("4bit", dims(DEFAULT), OLD) == "4bit"
    assert choose_precision("auto", dims("builtin"), OLD, four_bit_file=True) == "fp16"
    with pytest.raises(DoesNotFit, match=r"Tesla T4.*--precision 4bit"):
        choose_precision("int4", dims(DEFAULT), OLD)
    with pytest.raises(DoesNotFit, match="--precision fp16"):
        choose_precision("int4", dims(DEFAULT), OLD, four_bit_file=True)
    with pytest.raises(DoesNotFit, match=r"bf16 needs .*Tesla T4.*--precision fp16"):
        choose_precision("bf16", dims(DEFAULT), OLD)


def test_what_was_asked_for_is_kept() -> None:
    assert choose_model("Qwen/Qwen2.5-3B-Instruct", CPU) == "Qwen/Qwen2.5-3B-Instruct"
    assert choose_precision("8bit", dims(DEFAULT), imagined_card(80)) == "8bit"
