"""Every option once: its name, default and meaning. Values come from flags, then ``QWEN_*`` variables, then defaults.

This is the only place that reads the environment for the app. Bad values are reported all together, before anything
slow is imported.
"""

from __future__ import annotations

import argparse
import difflib
import logging
import os
import re
import stat
from collections import Counter
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args, get_origin

from pydantic import Field, PrivateAttr, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from qwen_app.errors import PYTHON, SettingsError
from qwen_app.http.addresses import is_loopback
from qwen_app.http.forwarded import TrustedProxies
from qwen_app.http.key_values import digest_of_key, header_key
from qwen_app.http.origins import origin_of
from qwen_app.http.root_path import root_of
from qwen_app.http.server_address import ServerAddress
from qwen_app.switches import Switches

log = logging.getLogger(__name__)

PREFIX = "QWEN_"
ANY_ORIGIN = "*"
Precision = Literal["auto", "fp16", "bf16", "fp32", "int4", "8bit", "4bit"]


class _Need(NamedTuple):
    """An option does nothing while ``setting``, another one, is ``useless_at``."""

    setting: str
    useless_at: object
    sentence: str


_REMOTE = _Need("engine", "local", "is of another server that answers, so it also needs --engine remote")
_EMBEDDING = _Need("embeddings_url", "", "is of an embedding server, so it also needs --embeddings-url")
_NEEDS = {
    "base_url": _REMOTE,
    "remote_model": _REMOTE,
    "embeddings_key": _EMBEDDING,
    "embeddings_model": _EMBEDDING,
    "gpu_gb": _Need("plan", False, "is the size of a card to plan for, so it also needs --plan"),
}

_OF_A_LOCAL_MODEL = ("model", "revision", "source", "precision", "without")


class Settings(BaseSettings):
    """All options. The order matters where one option's check looks at another: the one looked at comes first."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, frozen=True, validate_default=True)

    auth: str = Field("", repr=False, description="logins for the page: user:password[,user:password]")
    auth_file: str = Field("", description="file with one user:password a line")
    host: str = Field(
        "127.0.0.1", min_length=1, description="address to listen on; any but this machine's own asks for a login"
    )
    port: int = Field(7860, ge=1, le=65535, description="port of page and API")
    share: bool = Field(False, description="open Gradio's public link to the page, which asks for a login")
    share_relay: str = Field("", description="frp server of your own for the public link, as host:port; none: Gradio's")
    root_path: str = Field("", description="path under which a proxy serves page and API, such as /qwen")
    trusted_proxy: str = Field("", description="addresses or networks of proxies whose X-Forwarded-* is believed")

    model: str = Field("auto", min_length=1, description="auto, builtin, a hub id, a local folder or a .gguf file")
    model_name: str = Field("", description="more names that programs may ask for the model by, separated by commas")
    revision: str = Field("", description="branch, tag or commit of the hub model; empty: the newest")
    source: Literal["hub", "modelscope"] = Field("hub", description="where hub ids are fetched from")
    precision: Precision = Field("auto", description="number format of the weights")
    users: int = Field(0, ge=0, le=256, description="conversations answered at once; 0: by the plan (remote: 64)")
    context: int = Field(0, ge=0, le=1_048_576, description="tokens a conversation may hold; 0: by the memory plan")
    models_dir: Path = Field(Path("models"), description="folder for downloaded models")

    without: str = Field("", description="optimisations to do without, separated by commas, such as drafts,cuda-graphs")
    queue_limit: int = Field(64, ge=0, le=10_000, description="requests that may wait; more are refused at once")
    timeout_s: float = Field(600.0, gt=0, le=86_400, description="seconds one answer may take, waiting included")

    data_dir: Path = Field(Path("data"), description="folder for saved chats")
    database_url: str = Field(
        "", repr=False, description="PostgreSQL for saved chats instead: postgresql://user@host/db"
    )
    chat_days: int = Field(0, ge=0, le=36_500, description="days an unused chat is kept, unless pinned; 0: for ever")
    chats_per_user: int = Field(1000, ge=0, le=1_000_000, description="chats kept for one user; more are not saved")
    chat_titles: bool = Field(True, description="let the model name a chat after its first answer")
    unwatched_s: float = Field(300.0, ge=0, le=86_400, description="seconds an answer of the page runs on unwatched")

    engine: Literal["local", "remote"] = Field("local", description="answer here, or through another server")
    base_url: str = Field(  # a name and a password may stand in it
        "", repr=False, description="address of the other server's API, such as http://host:8000/v1"
    )
    api_key: str = Field("", repr=False, description="key for the other server")
    remote_model: str = Field("", description="model to ask the other server for; empty: its first")

    api_keys: str = Field("", repr=False, description="keys that may use the API, separated by commas")
    api_keys_file: str = Field("", description="file with one API key a line")
    api_origins: str = Field("", description="origins whose pages may use the API, by commas; *: any, with API keys")
    requests_per_minute: int = Field(0, ge=0, description="limit for each API key; 0: none")
    tokens_per_minute: int = Field(0, ge=0, description="limit for each API key; 0: none")
    concurrency_per_key: int = Field(0, ge=0, description="requests at once for each API key; 0: no limit")
    strict_api: bool = Field(False, description="refuse API requests with unknown fields")

    embeddings_url: str = Field(
        "", repr=False, description="address of an API with /embeddings, for files found by meaning too"
    )
    embeddings_key: str = Field("", repr=False, description="key for the embedding server")
    embeddings_model: str = Field("", description="model to ask the embedding server for")

    language: Literal["auto", "zh", "en"] = Field("auto", description="language of the page; auto: the browser's")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="least level logged")
    log_format: Literal["plain", "json"] = Field("plain", description="a log line's form: for people or for programs")
    failed_requests: Literal["nothing", "shape", "text"] = Field(
        "shape", description="what is kept of requests that failed, for python -m qwen_app.replay"
    )
    fallback_answer: str = Field("", description="answered in the model's place when it fails; none: the error")
    plan: bool = Field(False, description="print the memory plan and stop")
    gpu_gb: float = Field(0.0, ge=0, le=10_000, description="with --plan: plan for a card of this many GB (10^9 bytes)")

    # Read once: what somebody does to the files meanwhile makes nobody the owner.
    _logins_of_file: tuple[str, ...] = PrivateAttr(())
    _keys_of_file: tuple[str, ...] = PrivateAttr(())

    def model_post_init(self, _: object) -> None:
        self._logins_of_file = tuple(_lines_of(self.auth_file))
        self._keys_of_file = tuple(_keys_in(self.api_keys_file))

    @model_validator(mode="before")
    @classmethod
    def _blanks_around_a_value_are_none_of_it(cls, values: dict[str, object]) -> dict[str, object]:
        """Files and shells leave a line break there. A value of blanks alone stays: it must not turn anything off."""
        return {name: value.strip() or value if isinstance(value, str) else value for name, value in values.items()}

    @field_validator("models_dir", "data_dir", mode="before")
    @classmethod
    def _folder_has_a_name(cls, value: object) -> object:
        if not str(value).strip():  # of a variable that a shell does not know; the path would be the current folder
            raise ValueError("needs the name of a folder")
        return value

    @field_validator("auth_file", "api_keys_file", "models_dir", "data_dir", mode="before")
    @classmethod
    def _home_is_expanded(cls, value: object) -> object:
        if not isinstance(value, str | Path) or not str(value).startswith("~"):  # a shell leaves it in quotes, after =
            return value
        try:
            return str(Path(value).expanduser())
        except RuntimeError as unknown:
            raise ValueError("begins with the name of a user that this machine does not have") from unknown

    @field_validator("auth")
    @classmethod
    def _auth_is_pairs(cls, value: str) -> str:
        if value and not all(_is_login(part.strip()) for part in value.split(",")):
            raise ValueError("must be user:password, or several of them separated by commas, with no empty part")
        return value

    @field_validator("auth_file")
    @classmethod
    def _auth_file_has_pairs(cls, value: str) -> str:
        logins = _lines_of(value)
        if value and not (logins and all(map(_is_login, logins))):
            raise ValueError("names a file that must hold user:password on each line, and nothing else but # comments")
        return value

    @field_validator("root_path")
    @classmethod
    def _root_is_a_path(cls, value: str) -> str:
        root = root_of(value)
        if value.strip("/") and not root:
            raise ValueError("takes a path such as /qwen, of letters, digits and dashes, and none that the app has")
        return root

    @field_validator("trusted_proxy")
    @classmethod
    def _proxies_are_addresses(cls, value: str) -> str:
        try:
            TrustedProxies.parse(value)
        except ValueError as error:
            raise ValueError("takes addresses or networks, such as 10.0.0.7,100.64.0.0/10") from error
        return value

    @field_validator("without")
    @classmethod
    def _without_what_there_is(cls, value: str) -> str:
        Switches.without(_parts(value))
        return value

    @field_validator("api_origins")
    @classmethod
    def _origins_are_origins(cls, value: str, info: ValidationInfo) -> str:
        if any(part != ANY_ORIGIN and ("://" not in part or part.count("/") > 2) for part in _parts(value)):
            raise ValueError("takes origins such as https://app.example:8443, separated by commas, without a path")
        if ANY_ORIGIN in _parts(value) and not (info.data.get("api_keys") or info.data.get("api_keys_file")):
            raise ValueError("lets pages of any origin in, so it also needs --api-keys (QWEN_API_KEYS)")
        return value

    @field_validator("base_url")
    @classmethod
    def _remote_has_address(cls, value: str, info: ValidationInfo) -> str:
        if not value and info.data.get("engine") == "remote":
            raise ValueError(
                "is needed with --engine remote: the address of the other server, such as http://host:8000/v1"
            )
        return value

    @field_validator("base_url", "embeddings_url")
    @classmethod
    def _address_is_of_the_web(cls, value: str) -> str:
        if value:
            ServerAddress.parse(value)
        return value.rstrip("/")

    @field_validator(*_NEEDS)
    @classmethod
    def _has_what_it_needs(cls, value: object, info: ValidationInfo) -> object:
        need = _NEEDS[str(info.field_name)]
        if value and info.data.get(need.setting) == need.useless_at:
            raise ValueError(need.sentence)
        return value

    @field_validator("api_key", "embeddings_key")
    @classmethod
    def _key_is_sent_in_a_header(cls, value: str) -> str:
        return header_key(value)

    @field_validator("api_keys")
    @classmethod
    def _keys_are_keys(cls, value: str) -> str:
        keys = _parts(value)
        if value and not keys:
            raise ValueError("must hold at least one key: without any, the API would ask for none")
        for key in keys:
            digest_of_key(key)
        return value

    @field_validator("api_keys_file")
    @classmethod
    def _keys_file_has_keys(cls, value: str) -> str:
        keys = _keys_in(value)
        if value and not keys:
            raise ValueError(
                "names a file that must hold an API key on a line: without any, the API would ask for none"
            )
        for key in keys:
            try:
                digest_of_key(key)
            except ValueError as refused:
                raise ValueError(f"holds a key that is none: each {refused}") from refused
        return value

    @field_validator("share_relay")
    @classmethod
    def _relay_is_host_and_port(cls, value: str) -> str:
        host, _, port = value.rpartition(":")
        if value and not (_HOST.fullmatch(host) and port.isdecimal() and 1 <= int(port) <= _LAST_PORT):
            raise ValueError("takes a host and a port, such as relay.example:7000")
        return value

    @field_validator("database_url")
    @classmethod
    def _database_is_postgresql(cls, value: str) -> str:
        if value and not value.startswith(("postgresql://", "postgres://")):
            raise ValueError("takes an address such as postgresql://user@host/db, and no other kind of database")
        return value

    @field_validator("data_dir", "models_dir")
    @classmethod
    def _folder_is_none_of_files(cls, value: Path) -> Path:
        if os.path.lexists(value) and not value.is_dir():
            raise ValueError("names a file where a folder is needed")
        return value

    def is_local(self) -> bool:
        """Whether this machine alone is let in: it listens nowhere else, has no public link, and asks for no login."""
        return not self.has_login() and not self.share and is_loopback(self.host)

    def has_login(self) -> bool:
        """Whether somebody may log in."""
        return bool(self.auth or self.auth_file)

    def is_owner(self, user: str) -> bool:
        """Whether ``user`` runs the server: the first of the logins, or anybody where there are none."""
        logins = self.logins()
        return not logins or user == logins[0][0]

    def proxies(self) -> TrustedProxies:
        """Whose word about who sent a request is taken."""
        return TrustedProxies.parse(self.trusted_proxy)

    def allowed_origins(self) -> frozenset[str]:
        """The origins whose pages may use the API, by name."""
        return frozenset(origin_of(part) for part in _parts(self.api_origins) if part != ANY_ORIGIN)

    def any_origin(self) -> bool:
        """Whether a page of any origin may use the API with a key."""
        return ANY_ORIGIN in _parts(self.api_origins)

    def optimisations_off(self) -> tuple[str, ...]:
        """Names of Switches."""
        return tuple(_parts(self.without))

    def model_names(self) -> tuple[str, ...]:
        """Names of the model beside its own."""
        return tuple(dict.fromkeys(_parts(self.model_name)))

    def unused(self) -> list[str]:
        """What was set and does nothing beside the rest, a sentence each. No refusal: variables may stand there for
        another start, and clients read their key from one called QWEN_API_KEY too."""
        told = []
        if self.engine == "remote" and (idle := [name for name in _OF_A_LOCAL_MODEL if self._was_changed(name)]):
            told.append(f"Not used with --engine remote, whose server has its own model: {_called(*idle)}.")
        elif self.engine == "local" and self.api_key:
            told.append(
                f"Not used: {_called('api_key')}. It is for another server, with --engine remote. "
                f"Keys of this API are {flag('api_keys')}."
            )
        if self.share_relay and not self.share:
            told.append(f"Not used without --share: {_called('share_relay')}. No public link is opened.")
        return told

    def _was_changed(self, name: str) -> bool:
        return bool(getattr(self, name) != type(self).model_fields[name].default)

    def keys(self) -> list[str]:
        """The API keys of ``api_keys``, and of the file: one a line, ``#`` for comments."""
        return [*_parts(self.api_keys), *self._keys_of_file]

    def logins(self) -> list[tuple[str, str]]:
        """The (user, password) pairs that may open the page."""
        entries = [*_parts(self.auth), *self._logins_of_file]
        pairs = (part.split(":", 1) for part in entries)
        return [(user, password) for user, password in pairs]


def load_settings(arguments: Sequence[str], environ: Mapping[str, str] | None = None) -> Settings:
    """Settings from command-line ``arguments`` and QWEN_* variables.

    Raises SettingsError with one line for everything that is wrong. ``--help`` prints and exits 0.
    """
    if environ is None:
        settle_proxies(os.environ)
    flags, problems = _parse_flags(arguments)
    problems += _unknown_variables(os.environ if environ is None else environ)
    try:
        settings = Settings(**flags)
        problems += _unusable_folders(settings) + _doubled_logins(settings)
    except ValidationError as invalid:
        problems += [_sentence(detail) for detail in invalid.errors()]
    if problems:
        raise SettingsError("\n".join([*problems, f"See all options with: {PYTHON} app.py --help"]))
    return settings


def flag(name: str) -> str:
    """The command-line flag of the option called ``name``."""
    return "--" + name.replace("_", "-")


def _called(*names: str) -> str:
    return ", ".join(f"{flag(name)} ({PREFIX}{name.upper()})" for name in names)


def described(names: Iterable[str]) -> str:
    """The help of the options called ``names``, a paragraph each."""
    fields = {name: Settings.model_fields[name] for name in names}
    return "".join(
        f"  {flag(name)}{_metavar(field)}\n      {field.description} (default: {_shown(field.default)})\n"
        for name, field in fields.items()
    )


def settle_proxies(environ: MutableMapping[str, str]) -> None:
    """Leave in ``environ`` the proxies that our clients can use, and have them asked for other machines alone.

    A client fails at one that it cannot use, most often ALL_PROXY's SOCKS, even where it would ask another.
    """
    proxies = {name: value for name, value in environ.items() if name.lower() in _PROXIES and value.strip()}
    for name in [name for name, value in proxies.items() if not _is_proxy(value)]:
        log.warning("Not used: %s, for it names no proxy such as http://host:3128; SOCKS is not spoken.", name)
        del environ[name]
    if proxies:
        others = [value for name in ("no_proxy", "NO_PROXY") if (value := environ.get(name, ""))]
        environ["no_proxy"] = environ["NO_PROXY"] = ",".join([*others[:1], _THIS_MACHINE])


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


_PROXIES = ("http_proxy", "https_proxy", "all_proxy")
_THIS_MACHINE = "localhost,127.0.0.1,0.0.0.0,::1"
_HOST = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]")
_LAST_PORT = 65_535
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


def _parse_flags(arguments: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
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
        problems.append(f"{flag(name)} needs a value: {_takes(Settings.model_fields[name])}.")
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
    return [f"There is no option {word}.{_suggestion(word, known)}" for word in flags]


def _unusable_folders(settings: Settings) -> list[str]:
    """Chats stay in memory where the default folder cannot be written; one that was asked for must do."""
    if "data_dir" not in settings.model_fields_set or _may_be_written(settings.data_dir.absolute()):
        return []
    return [f"{_called('data_dir')} {str(settings.data_dir)!r} names a folder that cannot be written."]


def _doubled_logins(settings: Settings) -> list[str]:
    """One password would hold, and which it is nobody could tell."""
    users = Counter(user for user, _ in settings.logins())
    doubled = [user for user, count in users.items() if count > 1]
    if not doubled:
        return []
    places = f"{_called('auth')} and {_called('auth_file')}"
    return [f"{places} name {', '.join(doubled)} more than once. Give each user one password."]


def _may_be_written(folder: Path) -> bool:
    """Whether ``folder`` can be, or could be made."""
    there = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    return os.path.isdir(there) and os.access(there, os.W_OK | os.X_OK, effective_ids=True)


def _unknown_variables(environ: Mapping[str, str]) -> list[str]:
    known = [PREFIX + name.upper() for name in Settings.model_fields]
    strays = sorted(name for name in environ if name.upper().startswith(PREFIX) and name.upper() not in known)
    return [f"There is no setting {stray}.{_suggestion(stray.upper(), known)}" for stray in strays]


def _suggestion(word: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f" Did you mean {close[0]}?" if close else ""


def _sentence(detail: ErrorDetails) -> str:
    name = str(detail["loc"][0])
    field = Settings.model_fields[name]
    subject = _called(name)
    shown = f" {str(detail['input'])!r}" if field.repr else ""
    if detail["type"] == "value_error":
        return f"{subject}{shown} {detail['ctx']['error']}."
    return f"{subject}{shown} is not possible: it takes {_takes(field)}."


def _takes(field: FieldInfo) -> str:
    if get_origin(field.annotation) is Literal:
        return "one of " + ", ".join(get_args(field.annotation))
    if field.annotation is bool:
        return "true or false"
    if field.annotation in (int, float):
        kind = "a whole number" if field.annotation is int else "a number"
        return " ".join([kind, *(_bound(bound) for bound in field.metadata)])
    return "some text"


def _bound(bound: object) -> str:
    words = {"ge": "from {:,}", "gt": "above {:,}", "le": "up to {:,}"}
    return next(text.format(getattr(bound, name)) for name, text in words.items() if hasattr(bound, name))


def _metavar(field: FieldInfo) -> str:
    if field.annotation is bool:
        return ""
    if get_origin(field.annotation) is Literal:
        return " " + "|".join(get_args(field.annotation))
    return " N" if field.annotation in (int, float) else " TEXT"


def _shown(default: object) -> str:
    if isinstance(default, bool):
        return "on" if default else "off"
    return f"{default:g}" if isinstance(default, float) else str(default) or "none"


def _parts(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]


def _lines_of(file: str) -> list[str]:
    """The lines of ``file`` that say something; none of no file. Raises ValueError where it cannot be read."""
    if not file:
        return []
    try:
        if not stat.S_ISREG(os.stat(file).st_mode):  # a pipe, as <(command), would be empty the second time
            raise ValueError("names a folder, a pipe or a device where a file is needed")
        text = Path(file).read_text(encoding="utf-8-sig")  # editors begin a file with a mark
    except OSError as refused:
        raise ValueError(f"names a file that cannot be read ({refused.strerror})") from refused
    except UnicodeDecodeError as refused:
        raise ValueError("names a file that cannot be read as UTF-8 text") from refused
    return [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def _keys_in(file: str) -> list[str]:
    keys = (line.split("#")[0].strip() for line in _lines_of(file))
    return [key for key in keys if key]


def _is_proxy(value: str) -> bool:
    try:
        ServerAddress.parse(value.lower() if "://" in value else f"http://{value}")
    except ValueError:
        return False
    return True


def _is_login(part: str) -> bool:
    user, colon, password = part.partition(":")
    return bool(user and colon and password)
