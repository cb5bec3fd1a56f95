"""A card that is there and cannot be used is named, with its driver: never a small model in its place unasked."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from qwen_app.errors import DoesNotFit
from qwen_app.models import device
from qwen_app.models.registry import choose_model

TOO_OLD = (
    "The NVIDIA driver on your system is too old (found version 12020). Please update your GPU driver by downloading "
    "and installing a new version from the URL"
)


@pytest.fixture
def card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with a card, driver 535 and a PyTorch for CUDA 13."""
    (tmp_path / "nvidia0").touch()
    (tmp_path / "version").write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.161.08  Sat Feb 17\n")
    monkeypatch.setattr(device, "CARDS", (tmp_path / "nvidia0",))
    monkeypatch.setattr(device, "DRIVER", tmp_path / "version")
    monkeypatch.setattr("torch.version.cuda", "13.0")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)


def cuda_says(monkeypatch: pytest.MonkeyPatch, sentence: str) -> None:
    def refuse() -> None:
        raise RuntimeError(sentence)

    monkeypatch.setattr("torch.cuda.init", refuse)


@pytest.mark.usefixtures("card")
@pytest.mark.parametrize("asked", ["auto", "Qwen/Qwen2.5-7B-Instruct"])
def test_an_old_driver_stops_the_start_with_its_version(asked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cuda_says(monkeypatch, TOO_OLD)
    found = device.find_device()
    assert found.kind == "cpu"
    with pytest.raises(DoesNotFit) as refused:
        choose_model(asked, found)
    for part in ("driver 535.161.08", "driver 580 or newer", "too old (found version 12020)", "--model builtin"):
        assert part in str(refused.value)
    assert refused.value.exit_code == 5


@pytest.mark.usefixtures("card")
def test_the_built_in_model_runs_where_it_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda_says(monkeypatch, TOO_OLD)
    assert choose_model("builtin", device.find_device()) == "builtin"


@pytest.mark.usefixtures("card")
def test_a_card_that_was_hidden_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """By CUDA_VISIBLE_DEVICES: whoever sets it wants the CPU."""
    cuda_says(monkeypatch, "No CUDA GPUs are available")
    assert choose_model("auto", device.find_device()) == "builtin"


@pytest.mark.usefixtures("card")
def test_a_pytorch_without_cuda_beside_a_card_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.version.cuda", None)
    with pytest.raises(DoesNotFit, match=r"built for the CPU alone.*start\.sh setup"):
        choose_model("auto", device.find_device())


def test_without_a_card_auto_is_the_built_in_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "CARDS", (tmp_path / "nothing",))
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert choose_model("auto", device.find_device()) == "builtin"


@pytest.mark.parametrize(
    ("capability", "architectures", "computes"),
    [
        ((7, 0), ["sm_75", "sm_80", "sm_90", "sm_120", "compute_120"], False),  # V100
        ((7, 5), ["sm_75", "sm_80", "sm_90", "sm_120", "compute_120"], True),  # T4
        ((8, 9), ["sm_75", "sm_80", "sm_86", "sm_90"], True),  # RTX 4090
        ((8, 6), ["sm_75", "sm_90a"], False),
        ((12, 1), ["sm_90", "compute_90"], True),
        ((12, 0), ["sm_90"], False),
        ((8, 0), [], True),
    ],
)
def test_a_card_needs_kernels_for_its_generation(
    capability: tuple[int, int], architectures: list[str], computes: bool
) -> None:
    assert device.computes_on(capability, architectures) == computes


@pytest.fixture
def cards(card: None, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The compute capabilities of the cards torch sees, to be filled. Each has 24 GB, 23 of them free."""
    capabilities: list[tuple[int, int]] = []
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: len(capabilities))
    monkeypatch.setattr("torch.cuda.get_device_name", lambda index: f"Card {index}")
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda index: capabilities[index])
    monkeypatch.setattr("torch.cuda.get_arch_list", lambda: ["sm_75", "sm_80", "sm_90", "compute_120"])
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda index: (23_000_000_000, 24_000_000_000))
    return capabilities


def test_cards_are_named_as_the_driver_names_them(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr("torch.cuda.get_device_properties", lambda index: SimpleNamespace(uuid=f"{index}-uuid"))
    places = [torch.device(name) for name in ("cuda:1", "cpu", "cuda:0", "cuda:1")]
    assert device.card_uuids(places) == ("GPU-0-uuid", "GPU-1-uuid")
    assert device.card_uuids([torch.device("cpu")]) == ()


@pytest.mark.parametrize(("capability", "ampere"), [((7, 5), False), ((8, 0), True), ((8, 9), True)])
def test_what_a_card_can_do_follows_from_its_generation(
    cards: list[tuple[int, int]], capability: tuple[int, int], ampere: bool
) -> None:
    cards.append(capability)
    found = device.find_device()
    assert (found.kind, found.name, found.free_bytes, found.ampere) == ("cuda", "Card 0", 23_000_000_000, ampere)


def test_two_cards_count_together_and_the_older_one_decides(cards: list[tuple[int, int]]) -> None:
    cards += [(8, 6), (7, 5)]
    found = device.find_device()
    assert (found.cards, found.name, found.free_bytes, found.ampere) == (2, "2 x Card 0", 46_000_000_000, False)
    assert (found.one.cards, found.one.name, found.one.free_bytes, found.one.ampere) == (
        *(1, "Card 0", 23_000_000_000),
        True,
    )


def test_a_card_that_pytorch_has_no_kernels_for_is_named(cards: list[tuple[int, int]]) -> None:
    """torch takes it for usable, and fails in the first kernel."""
    cards.append((7, 0))
    with pytest.raises(DoesNotFit, match=r"Card 0 is of compute capability 7\.0, which this PyTorch has no kernels"):
        choose_model("auto", device.find_device())


def test_one_that_is_beside_a_good_one_can_be_left_out(cards: list[tuple[int, int]]) -> None:
    cards += [(8, 9), (6, 1)]
    with pytest.raises(DoesNotFit, match=r"Card 1 is of compute capability 6\.1, .*DEVICES=0 leaves it out"):
        choose_model("auto", device.find_device())


def test_a_card_that_is_held_by_another_process_is_said(
    cards: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(index: int) -> tuple[int, int]:
        raise RuntimeError("CUDA error: CUDA-capable device(s) is/are busy or unavailable\nCUDA kernel errors might")

    cards.append((8, 9))
    monkeypatch.setattr("torch.cuda.mem_get_info", busy)
    with pytest.raises(DoesNotFit, match="busy or unavailable"):
        choose_model("auto", device.find_device())


@pytest.mark.parametrize(
    ("chosen", "works", "set_to"),
    [
        ("", True, ["expandable_segments:True"]),
        ("", False, ["expandable_segments:True", "expandable_segments:False"]),
        ("max_split_size_mb:128", True, []),
    ],
    ids=["as usual", "where it does not work", "as the owner chose"],
)
def test_memory_is_mapped_page_by_page_where_that_works(
    monkeypatch: pytest.MonkeyPatch, chosen: str, works: bool, set_to: list[str]
) -> None:
    settings: list[str] = []

    def empty(*size: int, **kind: object) -> None:
        if not works:
            raise RuntimeError("CUDA driver error: operation not supported")

    monkeypatch.setattr(torch._C, "_accelerator_getAllocatorSettings", lambda: chosen)
    monkeypatch.setattr(torch._C, "_accelerator_setAllocatorSettings", settings.append)
    monkeypatch.setattr(torch, "empty", empty)
    device.use_expandable_segments()
    assert settings == set_to
