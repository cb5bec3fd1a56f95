"""What a model on a hub consists of: its files with address, size and sha256. Lists only what we would load."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NotRequired, TypedDict

from qwen_app.errors import DownloadError, ModelFilesError

_SUFFIXES = (".safetensors", ".json", ".txt", ".jinja", ".model")


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file to fetch. ``sha256`` is empty where the hub does not give it."""

    path: str
    url: str
    size_bytes: int
    sha256: str


class _ModelScopeEntry(TypedDict):
    """What ModelScope's listing says of a file or folder."""

    Path: str
    Size: int
    Sha256: NotRequired[str]
    Type: NotRequired[str]


@dataclass(frozen=True, slots=True)
class Listing:
    """A model's files at one revision, and the headers a request for them needs."""

    name: str
    revision: str
    files: tuple[RemoteFile, ...]
    headers: dict[str, str]

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)


def list_hub(name: str, revision: str) -> Listing:
    """The files of hub model ``name`` (owner/name). HF_ENDPOINT and HF_TOKEN are honoured. Raises DownloadError."""
    import httpx2
    from huggingface_hub import HfApi, constants, get_token, hf_hub_url
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        info = HfApi(endpoint=constants.ENDPOINT).model_info(
            name, revision=revision or None, files_metadata=True, timeout=15
        )
    except GatedRepoError as refused:
        raise DownloadError(
            f"{name} is given out on request: ask for access on its page and set HF_TOKEN."
        ) from refused
    except RevisionNotFoundError as refused:
        raise DownloadError(f"{name} has no revision {revision!r}.") from refused
    except RepositoryNotFoundError as refused:
        raise DownloadError(f"The hub has no model {name}, or it needs a login: set HF_TOKEN.") from refused
    except HFValidationError as refused:
        raise DownloadError(f"{name!r} is neither a folder here nor a hub id (owner/name).") from refused
    except OfflineModeIsEnabled as refused:
        raise DownloadError(f"{name} is not on this machine, and HF_HUB_OFFLINE forbids to fetch it.") from refused
    except (httpx2.HTTPError, OSError) as failed:
        raise DownloadError(
            f"The hub at {constants.ENDPOINT} does not answer ({_short(failed)}). Check the network, set HF_ENDPOINT "
            "to a mirror, or use --source modelscope."
        ) from failed
    commit = str(info.sha)
    files = [
        RemoteFile(
            path=entry.rfilename,
            url=hf_hub_url(name, entry.rfilename, revision=commit),
            size_bytes=int(entry.size or 0),
            sha256=entry.lfs.sha256 if entry.lfs else "",
        )
        for entry in info.siblings or []
        if _wanted(entry.rfilename)
    ]
    token = get_token()
    return _listing(name, commit, files, {"Authorization": f"Bearer {token}"} if token else {})


def list_modelscope(name: str, revision: str) -> Listing:
    """The files of ModelScope model ``name``. Raises DownloadError, naming the package where it is missing."""
    try:
        from modelscope.hub.api import HubApi
        from modelscope.hub.file_download import get_file_download_url
    except ImportError as missing:
        raise DownloadError(
            "--source modelscope needs the package modelscope. Install it with: .venv/bin/pip install modelscope"
        ) from missing
    wanted = revision or "master"
    try:
        entries: list[_ModelScopeEntry] = HubApi().get_model_files(name, revision=wanted, recursive=True)
    except Exception as failed:  # the package raises whatever its HTTP client did
        raise DownloadError(f"ModelScope could not list {name}: {_short(failed)}") from failed
    files = [
        RemoteFile(
            path=entry["Path"],
            url=get_file_download_url(name, entry["Path"], wanted),
            size_bytes=int(entry["Size"]),
            sha256=str(entry.get("Sha256") or ""),
        )
        for entry in entries
        if entry.get("Type") != "tree" and _wanted(entry["Path"])
    ]
    return _listing(name, wanted, files, {})


def _listing(name: str, revision: str, files: list[RemoteFile], headers: dict[str, str]) -> Listing:
    if not any(file.path.endswith(".safetensors") for file in files):
        raise ModelFilesError(f"{name} has no safetensors weights, and no other kind is loaded. Choose another model.")
    return Listing(name, revision, tuple(files), headers)


def _wanted(path: str) -> bool:
    """Top-level files that transformers reads; other formats and their folders stay on the hub."""
    return "/" not in path and path.endswith(_SUFFIXES) and not path.startswith("consolidated")


def _short(error: Exception) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
