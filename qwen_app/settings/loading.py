"""Settings from the command line and the environment, with everything that is wrong told at once."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from qwen_app.errors import PYTHON, SettingsError
from qwen_app.settings.command_line import parse_flags
from qwen_app.settings.names import PREFIX, called
from qwen_app.settings.proxies import settle_proxies
from qwen_app.settings.settings import Settings
from qwen_app.settings.wording import suggestion, takes


def load_settings(arguments: Sequence[str], environ: Mapping[str, str] | None = None) -> Settings:
    """Settings from command-line ``arguments`` and QWEN_* variables.

    Raises SettingsError with one line for everything that is wrong. ``--help`` prints and exits 0.
    """
    if environ is None:
        settle_proxies(os.environ)
    flags, problems = parse_flags(arguments)
    problems += _unknown_variables(os.environ if environ is None else environ)
    try:
        settings = Settings(**flags)
        problems += _unusable_folders(settings) + _doubled_logins(settings)
    except ValidationError as invalid:
        problems += [_sentence(detail) for detail in invalid.errors()]
    if problems:
        raise SettingsError("\n".join([*problems, f"See all options with: {PYTHON} app.py --help"]))
    return settings


def _unusable_folders(settings: Settings) -> list[str]:
    """Chats stay in memory where the default folder cannot be written; one that was asked for must do."""
    if "data_dir" not in settings.model_fields_set or _may_be_written(settings.data_dir.absolute()):
        return []
    return [f"{called('data_dir')} {str(settings.data_dir)!r} names a folder that cannot be written."]


def _doubled_logins(settings: Settings) -> list[str]:
    """One password would hold, and which it is nobody could tell."""
    users = Counter(user for user, _ in settings.logins())
    doubled = [user for user, count in users.items() if count > 1]
    if not doubled:
        return []
    places = f"{called('auth')} and {called('auth_file')}"
    return [f"{places} name {', '.join(doubled)} more than once. Give each user one password."]


def _may_be_written(folder: Path) -> bool:
    """Whether ``folder`` can be, or could be made."""
    there = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    return os.path.isdir(there) and os.access(there, os.W_OK | os.X_OK, effective_ids=True)


def _unknown_variables(environ: Mapping[str, str]) -> list[str]:
    known = [PREFIX + name.upper() for name in Settings.model_fields]
    strays = sorted(name for name in environ if name.upper().startswith(PREFIX) and name.upper() not in known)
    return [f"There is no setting {stray}.{suggestion(stray.upper(), known)}" for stray in strays]


def _sentence(detail: ErrorDetails) -> str:
    name = str(detail["loc"][0])
    field = Settings.model_fields[name]
    subject = called(name)
    shown = f" {str(detail['input'])!r}" if field.repr else ""
    if detail["type"] == "value_error":
        return f"{subject}{shown} {detail['ctx']['error']}."
    return f"{subject}{shown} is not possible: it takes {takes(field)}."
