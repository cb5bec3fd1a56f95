"""Fetches or prepares the model that ``--model`` names: ``python download_model.py --model Qwen/Qwen2.5-7B-Instruct``.

Takes the same options as app.py. ``--verify`` also checks every file's sha256.
"""

from __future__ import annotations

import sys

from qwen_app.errors import StartupError
from qwen_app.settings import Settings, load_settings


def main() -> int:
    arguments = [argument for argument in sys.argv[1:] if argument != "--verify"]
    try:
        download(load_settings(arguments), verify=len(arguments) < len(sys.argv) - 1)
    except StartupError as refusal:
        sys.stderr.write(f"{refusal}\n")
        return refusal.exit_code
    return 0


def download(settings: Settings, *, verify: bool) -> None:
    from qwen_app.models.device import find_device
    from qwen_app.models.download import ensure_model
    from qwen_app.models.folder import verify_folder
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
