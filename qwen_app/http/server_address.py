"""The address of another server's API, in which a name and a password may stand."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import SplitResult, unquote, urlsplit


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """``url`` is without name and password, so that it can be asked and shown alike: whoever logs a request, or says
    what became of it, says its URL too. ``login`` is what a header carries in their place."""

    url: str
    login: str = field(default="", repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """``text`` without the blanks and line breaks around it, which files and the environment leave there.

        Raises ValueError, for a sentence that begins with the setting's name. It says nothing of ``text``.
        """
        text = text.strip()
        if not text.isprintable():
            raise ValueError("must be of printable characters (in a password, others are written as %0A)")
        if not text.startswith(("http://", "https://")):
            raise ValueError("must start with http:// or https://")
        if "?" in text or "#" in text:
            raise ValueError("must end with its path, without ? and # (in a password they are %3F and %23)")
        parts = _parts_of(text)
        if parts is None:
            raise ValueError("must name a server, such as http://host:8000/v1 (in a password, / is %2F)")
        login, _, host = parts.netloc.rpartition("@")
        return cls(f"{parts.scheme}://{host}{parts.path}".rstrip("/"), _basic(login) if login else "")

    def headers(self, api_key: str) -> dict[str, str]:
        """What a request is sent with: ``api_key``, or name and password where there is none."""
        authorization = f"Bearer {api_key}" if api_key else self.login
        return {"Authorization": authorization} if authorization else {}


def _parts_of(text: str) -> SplitResult | None:
    try:
        parts = urlsplit(text)
        # An @ in the path is that of a password which holds a slash: the host is its beginning.
        return parts if parts.hostname and parts.port != 0 and "@" not in parts.path else None
    except ValueError:  # brackets that hold no address, a port that is none
        return None


def _basic(login: str) -> str:
    name, _, password = login.partition(":")
    return f"Basic {base64.b64encode(f'{unquote(name)}:{unquote(password)}'.encode()).decode()}"
