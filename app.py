"""Chat page and API on one port: ``python app.py``, or better ``./start.sh``. All options: ``python app.py --help``."""

from __future__ import annotations

import os
import sys

from qwen_app.errors import StartupError
from qwen_app.settings import load_settings, without_secrets


def main() -> int:
    try:
        settings = load_settings(sys.argv[1:])
        if settings.plan:
            from qwen_app.serve.plan_report import plan_report

            sys.stdout.write(plan_report(settings) + "\n")
            return 0
        from qwen_app.serve import server  # only now: it takes a second to import

        return server.main(settings)
    except StartupError as refusal:
        sys.stderr.write(f"{refusal}\n")
        return refusal.exit_code


if __name__ == "__main__":
    arguments, secrets = without_secrets(sys.argv[1:])
    if secrets:  # begin anew, so that the list of processes does not show them
        os.execve(sys.executable, [sys.executable, __file__, *arguments], {**os.environ, **secrets})
    sys.exit(main())
