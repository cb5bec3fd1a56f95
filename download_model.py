"""Fetches or prepares the model that --model names: .venv/bin/python download_model.py --model Qwen/Qwen2.5-7B-Instruct

Prints the model's folder. Takes all options and variables of app.py; these do something here:
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qwen_app.settings import Settings

USED = ("model", "revision", "source", "models_dir", "log_level", "log_format")
INTERRUPTED = 130  # as shells say of what Ctrl+C ended


def main() -> int:
    try:
        return _run(sys.argv[1:])
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped. What has arrived is kept: the same command continues.\n")
        return INTERRUPTED


def _run(arguments: list[str]) -> int:
    from qwen_app.errors import StartupError
    from qwen_app.settings import described, load_settings

    if {"-h", "--help"} & {*arguments}:
        sys.stdout.write(f"{__doc__}\n  --verify\n      compare the weights with the manifest too\n{described(USED)}")
        return 0
    options = [argument for argument in arguments if argument != "--verify"]
    try:
        download(load_settings(options), verify=len(options) < len(arguments))
    except StartupError as refusal:
        sys.stderr.write(f"{refusal}\n")
        return refusal.exit_code
    return 0


def download(settings: Settings, *, verify: bool) -> None:
    from qwen_app.models.device import find_device
    from qwen_app.models.download import ensure_model
    from qwen_app.models.files.folder import verify_folder
    from qwen_app.models.registry import choose_model
    from qwen_app.serve.logs import set_up_logs

    set_up_logs(settings.log_level, file=None, form=settings.log_format)
    name = choose_model(settings.model, find_device()) if settings.model == "auto" else settings.model
    checkpoint = ensure_model(name, settings.models_dir, source=settings.source, revision=settings.revision)
    if verify:
        verify_folder(checkpoint.path)
    sys.stdout.write(f"{checkpoint.path}\n")


if __name__ == "__main__":
    sys.exit(main())
