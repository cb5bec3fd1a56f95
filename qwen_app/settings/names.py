"""How an option is called: on the command line, and in the environment."""

from __future__ import annotations

PREFIX = "QWEN_"


def flag(name: str) -> str:
    """The command-line flag of the option called ``name``."""
    return "--" + name.replace("_", "-")


def called(*names: str) -> str:
    """The options called ``names``, in sentences: by their flags and variables."""
    return ", ".join(f"{flag(name)} ({PREFIX}{name.upper()})" for name in names)
