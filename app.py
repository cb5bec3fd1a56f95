"""Chat page and API on one port: ``./start.sh``, or ``.venv/bin/python app.py``; ``--help`` tells all options."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

INTERRUPTED = 130  # as shells say of what Ctrl+C ended


def main() -> int:
    """Run the app, and what the process ends with. Imports are within, so that Ctrl+C ends them without a traceback."""
    try:
        return _run(sys.argv[1:])
    except KeyboardInterrupt:
        return INTERRUPTED


def _run(arguments: list[str]) -> int:
    from qwen_app.errors import StartupError
    from qwen_app.settings import load_settings

    try:
        settings = load_settings(arguments)
        if settings.plan:
            from qwen_app.serve.plan_report import plan_report

            sys.stdout.write(plan_report(settings) + "\n")
            return 0
        from qwen_app.serve import server  # only now: it takes a second to import

        return server.main(settings)
    except StartupError as refusal:
        sys.stderr.write(f"{refusal}\n")
        return refusal.exit_code


def _hide_secrets() -> None:
    """Begin anew where there are secrets among the arguments, so that the list of processes does not show them.

    Whoever may not run this interpreter once more goes on with them in the list.
    """
    from qwen_app.settings import without_secrets

    sys.argv[1:], secrets = without_secrets(sys.argv[1:])
    if secrets:
        os.environ.update(secrets)
        with suppress(OSError):
            os.execv(sys.executable, [sys.executable, __file__, *sys.argv[1:]])


if __name__ == "__main__":
    try:
        _hide_secrets()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    sys.exit(main())
