"""The browser that pages are opened in: the system's Chromium, by whatever name it has."""

from __future__ import annotations

import shutil

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def browser_path() -> str:
    """Where it is. Ends the command, with what to install, where there is none."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        raise SystemExit("Chromium was not found. Debian and Ubuntu: apt-get install chromium fonts-noto-cjk")
    return path
