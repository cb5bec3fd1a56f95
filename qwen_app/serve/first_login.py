"""The login that is made where one is needed and none was given. It is kept, so that the next start has the same."""

from __future__ import annotations

import logging
import os
import secrets
import sys
from pathlib import Path

from qwen_app.http.addresses import is_loopback
from qwen_app.settings import Settings
from qwen_app.web.owner_door import ELSEWHERE, OwnerDoor, login_link
from qwen_app.web.sessions import INVITATION_S, Sessions

log = logging.getLogger(__name__)

LOGIN_FILE = Path("run/login")
OWNER = "owner"
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # none that looks like another
_GROUPS, _GROUP = 4, 4  # 31 ** 16: nobody guesses it


def open_to(settings: Settings, url: str) -> tuple[Settings, OwnerDoor | None]:
    """``settings`` with a login where strangers may come to ``url``, told on the console if it was made; and the door
    through which the owner sees who came."""
    if settings.is_local():
        return settings, None
    whole, sessions = with_login(settings), Sessions()
    if whole is not settings:
        tell_login(whole, sessions, url)
    return whole, OwnerDoor(sessions, url, frozenset(user for user, _ in whole.logins()))


def with_login(settings: Settings, file: Path = LOGIN_FILE) -> Settings:
    """``settings``, with a login where strangers may come and there was none."""
    if settings.is_local() or settings.has_login():
        return settings
    return settings.model_copy(update={"auth": _kept(file) or _made(file)})


def tell_login(settings: Settings, sessions: Sessions, url: str) -> None:
    """Say on the console, which the log's file does not keep, how to get in with the login that was made."""
    user, password = settings.logins()[0]
    link = login_link(url, sessions.invite(user))
    kept = (
        f"It is kept in {LOGIN_FILE}"
        if _kept(LOGIN_FILE) == settings.auth
        else "It is kept nowhere: the next start makes another"
    )
    elsewhere = "" if is_loopback(settings.host) else f"\n{ELSEWHERE}"
    told = (
        f"\nNo login was given, so one was made: name {user}, password {password}\n"
        f"{kept}; QWEN_AUTH or QWEN_AUTH_FILE sets your own.\n"
        f"Log in with one click, once, within {INVITATION_S // 60} minutes: {link}{elsewhere}\n\n"
    )
    try:
        sys.stdout.write(told)
        sys.stdout.flush()
    except OSError as refused:  # a terminal that has gone, a file on a full disk
        log.warning("The console does not take the login that was made (%s). %s.", refused.strerror, kept)


def _kept(file: Path) -> str:
    try:
        login = file.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""
    user, colon, password = login.partition(":")
    return login if user == OWNER and colon and len(password) >= _GROUPS * _GROUP and "," not in login else ""


def _made(file: Path) -> str:
    groups = ("".join(secrets.choice(_LETTERS) for _ in range(_GROUP)) for _ in range(_GROUPS))
    login = f"{OWNER}:{'-'.join(groups)}"
    try:
        file.parent.mkdir(exist_ok=True)
        file.unlink(missing_ok=True)
        descriptor = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as written:
            written.write(login + "\n")
    except OSError as refused:
        log.warning("%s cannot be written (%s): the next start makes another password.", file, refused.strerror)
    return login
