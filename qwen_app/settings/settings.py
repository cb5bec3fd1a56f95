"""Every option once: its name, default and meaning, and what its value must be."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import Field, PrivateAttr, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from qwen_app.http.addresses import is_loopback
from qwen_app.http.forwarded import TrustedProxies
from qwen_app.http.key_values import digest_of_key, header_key
from qwen_app.http.origins import origin_of
from qwen_app.http.root_path import root_of
from qwen_app.http.server_address import ServerAddress
from qwen_app.settings.lists import is_login, keys_in, lines_of, parts
from qwen_app.settings.names import PREFIX, called, flag
from qwen_app.switches import Switches

ANY_ORIGIN = "*"
_HOST = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]")
_LAST_PORT = 65_535
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
        self._logins_of_file = tuple(lines_of(self.auth_file))
        self._keys_of_file = tuple(keys_in(self.api_keys_file))

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
        if value and not all(is_login(part.strip()) for part in value.split(",")):
            raise ValueError("must be user:password, or several of them separated by commas, with no empty part")
        return value

    @field_validator("auth_file")
    @classmethod
    def _auth_file_has_pairs(cls, value: str) -> str:
        logins = lines_of(value)
        if value and not (logins and all(map(is_login, logins))):
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
        Switches.without(parts(value))
        return value

    @field_validator("api_origins")
    @classmethod
    def _origins_are_origins(cls, value: str, info: ValidationInfo) -> str:
        if any(part != ANY_ORIGIN and ("://" not in part or part.count("/") > 2) for part in parts(value)):
            raise ValueError("takes origins such as https://app.example:8443, separated by commas, without a path")
        if ANY_ORIGIN in parts(value) and not (info.data.get("api_keys") or info.data.get("api_keys_file")):
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
        keys = parts(value)
        if value and not keys:
            raise ValueError("must hold at least one key: without any, the API would ask for none")
        for key in keys:
            digest_of_key(key)
        return value

    @field_validator("api_keys_file")
    @classmethod
    def _keys_file_has_keys(cls, value: str) -> str:
        keys = keys_in(value)
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
        return frozenset(origin_of(part) for part in parts(self.api_origins) if part != ANY_ORIGIN)

    def any_origin(self) -> bool:
        """Whether a page of any origin may use the API with a key."""
        return ANY_ORIGIN in parts(self.api_origins)

    def optimisations_off(self) -> tuple[str, ...]:
        """Names of Switches."""
        return tuple(parts(self.without))

    def model_names(self) -> tuple[str, ...]:
        """Names of the model beside its own."""
        return tuple(dict.fromkeys(parts(self.model_name)))

    def unused(self) -> list[str]:
        """What was set and does nothing beside the rest, a sentence each. No refusal: variables may stand there for
        another start, and clients read their key from one called QWEN_API_KEY too."""
        told = []
        if self.engine == "remote" and (idle := [name for name in _OF_A_LOCAL_MODEL if self._was_changed(name)]):
            told.append(f"Not used with --engine remote, whose server has its own model: {called(*idle)}.")
        elif self.engine == "local" and self.api_key:
            told.append(
                f"Not used: {called('api_key')}. It is for another server, with --engine remote. "
                f"Keys of this API are {flag('api_keys')}."
            )
        if self.share_relay and not self.share:
            told.append(f"Not used without --share: {called('share_relay')}. No public link is opened.")
        return told

    def _was_changed(self, name: str) -> bool:
        return bool(getattr(self, name) != type(self).model_fields[name].default)

    def keys(self) -> list[str]:
        """The API keys of ``api_keys``, and of the file: one a line, ``#`` for comments."""
        return [*parts(self.api_keys), *self._keys_of_file]

    def logins(self) -> list[tuple[str, str]]:
        """The (user, password) pairs that may open the page."""
        entries = [*parts(self.auth), *self._logins_of_file]
        pairs = (part.split(":", 1) for part in entries)
        return [(user, password) for user, password in pairs]
