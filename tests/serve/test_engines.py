"""The engine that the settings name: chosen, planned, refused or loaded."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from qwen_app.errors import DoesNotFit, ModelFilesError
from qwen_app.models.device import Device
from qwen_app.models.dims import bytes_as_stored
from qwen_app.models.files import checkpoint
from qwen_app.models.files.checkpoint import open_checkpoint
from qwen_app.serve.build import build_service
from qwen_app.serve.plan_report import plan_and_log
from qwen_app.settings import Settings
from qwen_app.structured.grammars import compiler

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.anyio
async def test_a_local_engine_with_the_slots_and_context_asked_for(tiny_qwen_dir: Path) -> None:
    service = build_service(Settings(model=str(tiny_qwen_dir), users=2, context=512))
    try:
        info = service.info()
        assert (info.slots, info.context_tokens, info.precision) == (2, 512, "fp32")
        assert info.model == tiny_qwen_dir.name
    finally:
        await service.drain(1)


@pytest.mark.anyio
async def test_grammars_are_ready_when_the_engine_is(tiny_qwen_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []

    def make(*given: object, **named: object) -> object:
        made.append(given)
        return object()

    monkeypatch.setattr(compiler, "Vocabulary", make)
    service = build_service(Settings(model=str(tiny_qwen_dir), users=1, context=512))
    await service.drain(1)
    assert len(made) == 1


@pytest.mark.anyio
async def test_a_model_whose_answers_cannot_be_held_to_a_format_starts_all_the_same(
    tiny_qwen_dir: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*given: object, **named: object) -> None:
        raise ValueError("can't determine decoder type: None")

    monkeypatch.setattr(compiler, "Vocabulary", refuse)
    service = build_service(Settings(model=str(tiny_qwen_dir), users=1, context=512))
    await service.drain(1)
    assert "cannot be held to a format, nor call tools: its tokenizer" in caplog.text


@pytest.mark.anyio
async def test_another_server_is_sent_as_many_requests_at_once_as_were_asked_for() -> None:
    service = await anyio.to_thread.run_sync(
        build_service, Settings(engine="remote", base_url="http://127.0.0.1:9/v1", users=3)
    )
    assert service.info().slots == 3
    await service.drain(0)


@pytest.mark.anyio
async def test_a_start_looks_at_the_models_folder_once(tiny_qwen_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[Path] = []
    monkeypatch.setattr(checkpoint, "check_folder", looked_at.append)
    service = build_service(Settings(model=str(tiny_qwen_dir), users=1, context=512))
    await service.drain(1)
    assert looked_at == [tiny_qwen_dir]


def test_what_does_not_fit_is_refused_before_it_is_loaded(tiny_qwen_dir: Path) -> None:
    with pytest.raises(DoesNotFit, match="--context"):
        build_service(Settings(model=str(tiny_qwen_dir), context=65_536))


def test_an_impossible_name_is_refused() -> None:
    with pytest.raises(ModelFilesError, match=r"There is no model \./none"):
        build_service(Settings(model="./none"))


def test_an_impossible_name_is_refused_before_anything_slow_is_imported() -> None:
    code = (
        "import sys; from qwen_app.serve.build import build_service; from qwen_app.settings import Settings\n"
        "try: build_service(Settings(model='./none'))\n"
        "finally: print('torch' in sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert "There is no model ./none" in ended.stderr
    assert ended.stdout == "False\n"


@pytest.fixture
def quantised(tiny_qwen_dir: Path, tmp_path: Path) -> Path:
    """A folder that says it is one of GPTQ's."""
    folder = tmp_path / "gptq"
    shutil.copytree(tiny_qwen_dir, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "quantization_config": {"quant_method": "gptq"}}))
    return folder


def test_a_quantised_checkpoint_is_weighed_as_it_lies(tiny_qwen_dir: Path, quantised: Path) -> None:
    assert (open_checkpoint(tiny_qwen_dir).quantisation, open_checkpoint(quantised).quantisation) == ("", "gptq")
    assert bytes_as_stored(open_checkpoint(quantised), "fp16") == (quantised / "model.safetensors").stat().st_size
    assert bytes_as_stored(open_checkpoint(tiny_qwen_dir), "fp16") == 0


CARD = Device("cuda", "a card", 16_000_000_000, 15_000_000_000)
TWO_CARDS = Device("cuda", "2 x a card", 2 * 16_000_000_000, 2 * 15_000_000_000, cards=2, first=CARD)


def test_four_bits_that_are_taken_over_are_planned_on_the_card_that_takes_them(quantised: Path) -> None:
    checkpoint, asked = open_checkpoint(quantised), Settings(precision="fp16")
    plan = plan_and_log(asked, checkpoint, TWO_CARDS, four_bit_file=False)
    assert (plan.precision, plan.free_bytes) == ("int4", 15_000_000_000)
    unequal = replace(TWO_CARDS, first=replace(CARD, free_bytes=9_000_000_000))
    assert plan_and_log(asked, checkpoint, unequal, four_bit_file=False).free_bytes == 9_000_000_000
    with pytest.raises(DoesNotFit, match=r"Tesla T4 is not\. Take the model in floats"):
        plan_and_log(asked, checkpoint, replace(CARD, name="Tesla T4", ampere=False), four_bit_file=False)
    older = replace(TWO_CARDS, ampere=False)  # the second one
    assert plan_and_log(asked, checkpoint, older, four_bit_file=False).precision == "int4"


def test_a_lost_device_ends_the_process_with_its_own_code() -> None:
    code = "from qwen_app.serve.ending import end_process; end_process('CUDA error: device-side assert triggered')"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 70
    assert "device-side assert" in ended.stderr
