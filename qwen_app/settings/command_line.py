"""The command line: its flags, its help, and what every other program may see of it."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from typing import Any

from qwen_app.errors import PYTHON
from qwen_app.settings.names import PREFIX, flag
from qwen_app.settings.settings import Settings
from qwen_app.settings.wording import metavar, shown_default, suggestion, takes

_NO_VALUE = "\0"  # a flag given without its value; no real argument can hold this character


class _Parser(argparse.ArgumentParser):
    """argparse finds the flags; the help is ours, one option a paragraph."""

    def format_help(self) -> str:
        head = (
            f"usage: {PYTHON} app.py [options]\n\nChat page and OpenAI-compatible API for Qwen2.5 on your own GPU.\n\n"
        )
        foot = (
            f"\nEach option is also a variable: --port is {PREFIX}PORT. A flag wins over a variable.\n"
            "What is on or off is switched on by its flag and off by --no- before its name: --no-chat-titles.\n"
        )
        return head + described(Settings.model_fields) + foot


def parse_flags(arguments: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """The values that ``arguments`` give to options, and a sentence for each that is wrong."""
    parser = _Parser(argument_default=argparse.SUPPRESS, allow_abbrev=False)
    for name, field in Settings.model_fields.items():
        if field.annotation is bool:
            parser.add_argument(flag(name), action=argparse.BooleanOptionalAction)
        else:
            parser.add_argument(flag(name), nargs="?", const=_NO_VALUE)
    plain, given, problems = _switch_values(arguments)
    parsed, unknown = parser.parse_known_args(plain)
    flags = vars(parsed) | given
    problems += _unknown_arguments(unknown)
    for name in [name for name, value in flags.items() if value == _NO_VALUE]:
        del flags[name]
        problems.append(f"{flag(name)} needs a value: {takes(Settings.model_fields[name])}.")
    return flags, problems


def _switch_values(arguments: Sequence[str]) -> tuple[list[str], dict[str, Any], list[str]]:
    """``arguments`` without switches that have a value, as ``--share=false``; these; and what is wrong with some."""
    switches = {flag(name): name for name, field in Settings.model_fields.items() if field.annotation is bool}
    plain, given, problems = [], dict[str, Any](), []
    for argument in arguments:
        word, equals, value = argument.partition("=")
        if equals and word in switches:
            given[switches[word]] = value
        elif equals and word.replace("--no-", "--", 1) in switches:
            problems.append(f"{word} takes no value: it is said alone, or not at all.")
        else:
            plain.append(argument)
    return plain, given, problems


def _unknown_arguments(unknown: Sequence[str]) -> list[str]:
    flags = [argument.split("=")[0] for argument in unknown if argument.startswith("-")]
    if not flags:  # beside an unknown flag, the rest is most likely that flag's value
        return [f"{word!r} is not understood: every option starts with --." for word in unknown]
    known = [flag(name) for name in Settings.model_fields]
    return [f"There is no option {word}.{suggestion(word, known)}" for word in flags]


def described(names: Iterable[str]) -> str:
    """The help of the options called ``names``, a paragraph each."""
    fields = {name: Settings.model_fields[name] for name in names}
    return "".join(
        f"  {flag(name)}{metavar(field)}\n      {field.description} (default: {shown_default(field.default)})\n"
        for name, field in fields.items()
    )


def without_secrets(arguments: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """``arguments`` without their secrets, and these as variables.

    Every program on a machine sees the arguments of every other; variables are seen by those of the same user alone.
    """
    names = {flag(name): PREFIX + name.upper() for name, field in Settings.model_fields.items() if not field.repr}
    shown, hidden, rest = [], {}, list(arguments)
    while rest:
        name, equals, value = rest[0].partition("=")
        if name in names and (equals or len(rest) > 1):
            hidden[names[name]] = value if equals else rest.pop(1)
        else:
            shown.append(rest[0])
        del rest[0]
    return shown, hidden
