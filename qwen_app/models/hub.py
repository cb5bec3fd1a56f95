"""What a model on a hub consists of: its files with address, size and sha256. Lists only what we would load."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NotRequired
from urllib.parse import urlencode

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from qwen_app.errors import DownloadError, HubUnreachable, ModelFilesError, first_line
from qwen_app.models.files.checksums import git_sha1_of, sha256_of
from qwen_app.models.files.names import READ_SUFFIXES, is_plain_name

if TYPE_CHECKING:
    from huggingface_hub.hf_api import ModelInfo

MODELSCOPE = "https://modelscope.cn"
_SHA1 = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file to fetch. ``sha256`` is empty where the hub does not give it; of small files it may give ``git_sha1``,
    which is git's name for their content."""

    path: str
    url: str
    size_bytes: int
    sha256: str
    git_sha1: str = ""

    @property
    def has_checksum(self) -> bool:
        return bool(self.sha256 or self.git_sha1)

    def is_at(self, path: Path) -> bool:
        """Whether the file at ``path`` is this one, by its size and by the checksums that the hub gave."""
        return (
            path.is_file()
            and path.stat().st_size == self.size_bytes
            and (not self.sha256 or sha256_of(path) == self.sha256)
            and (not self.git_sha1 or git_sha1_of(path) == self.git_sha1)
        )


class _ModelScopeEntry(TypedDict):
    """What ModelScope's listing says of a file or folder."""

    Path: str
    Size: int
    Sha256: NotRequired[str | None]
    Type: NotRequired[str]


class _ModelScopeFiles(TypedDict):
    Files: list[_ModelScopeEntry]


class _ModelScopeAnswer(TypedDict):
    Data: _ModelScopeFiles


_LISTED = TypeAdapter(_ModelScopeAnswer)


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
    """The files of hub model ``name`` (owner/name). HF_ENDPOINT and HF_TOKEN are honoured. Raises DownloadError.

    It is HubUnreachable where another source may help.
    """
    from huggingface_hub import get_token, hf_hub_url

    info = _hub_info(name, revision)
    commit = str(info.sha)
    files = [
        RemoteFile(
            path=entry.rfilename,
            url=hf_hub_url(name, entry.rfilename, revision=commit),
            size_bytes=int(entry.size or 0),
            sha256=entry.lfs.sha256 if entry.lfs else "",
            git_sha1="" if entry.lfs else _git_sha1(entry.blob_id),
        )
        for entry in info.siblings or []
        if _wanted(entry.rfilename)
    ]
    token = get_token()
    return _listing(name, commit, files, {"Authorization": f"Bearer {token}"} if token else {})


def _hub_info(name: str, revision: str) -> ModelInfo:
    """What the hub says of a model. Raises DownloadError."""
    import httpx2
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        return HfApi(endpoint=constants.ENDPOINT).model_info(
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
        raise HubUnreachable(
            f"The hub at {constants.ENDPOINT} does not answer ({first_line(failed)}). Check the network, set "
            "HF_ENDPOINT to a mirror, or use --source modelscope."
        ) from failed


def list_modelscope(name: str, revision: str) -> Listing:
    """The files of ModelScope model ``name``, by its own HTTP interface. Raises DownloadError."""
    import httpx2

    wanted = revision or "master"
    address = f"{MODELSCOPE}/api/v1/models/{name}/repo"
    try:
        query = {"Revision": wanted, "Recursive": "true"}
        response = httpx2.get(f"{address}/files", params=query, timeout=15, follow_redirects=True)
        response.raise_for_status()
        entries = _LISTED.validate_json(response.content)["Data"]["Files"]
    except (httpx2.HTTPError, ValueError) as failed:  # an answer of another shape is a ValueError
        raise DownloadError(f"ModelScope could not list {name}: {first_line(failed)}") from failed
    files = [
        RemoteFile(
            path=entry["Path"],
            url=f"{address}?{urlencode({'Revision': wanted, 'FilePath': entry['Path']})}",
            size_bytes=entry["Size"],
            sha256=entry.get("Sha256") or "",
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
    return is_plain_name(path) and path.endswith(READ_SUFFIXES) and not path.startswith("consolidated")


def _git_sha1(blob_id: str | None) -> str:
    """A mirror may name its files in another way, which says nothing of what they hold."""
    return blob_id if blob_id and _SHA1.fullmatch(blob_id) else ""
