"""Databases to test against: SQLite's file, and PostgreSQL where Debian's package is installed."""

from __future__ import annotations

import getpass
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from qwen_app.saved_chats.database import migrated, postgresql, sqlite_file

SERVER_USER = "postgres"  # PostgreSQL does not run as root


def _program(name: str) -> str | None:
    found = [str(path) for path in sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))]
    return shutil.which(name) or (found[-1] if found else None)


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """A PostgreSQL server of this run's own."""
    initdb, server = _program("initdb"), _program("postgres")
    user = SERVER_USER if os.geteuid() == 0 else getpass.getuser()
    if not initdb or not server or user not in {entry.pw_name for entry in pwd.getpwall()}:
        pytest.skip("PostgreSQL is not installed. Debian and Ubuntu: apt-get install postgresql")
    with tempfile.TemporaryDirectory(prefix="pg-") as folder, socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        taken.close()
        shutil.chown(folder, user)
        as_user = {"user": user} if os.geteuid() == 0 else {}
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.STDOUT, "cwd": folder, **as_user}
        subprocess.run([initdb, "-D", f"{folder}/data", "-U", "chats", "-A", "trust", "-N"], check=True, **quiet)
        options = ["-p", str(port), "-c", "listen_addresses=127.0.0.1", "-k", folder, "-c", "fsync=off"]
        process = subprocess.Popen([server, "-D", f"{folder}/data", *options], **quiet)
        try:
            subprocess.run([_program("pg_isready") or "", "-h", folder, "-p", str(port), "-t", "30"], **quiet)
            yield f"postgresql://chats@127.0.0.1:{port}/postgres"
        finally:
            process.terminate()
            process.wait(timeout=30)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """An empty, migrated database."""
    if request.param == "sqlite":
        engine = migrated(sqlite_file(tmp_path))
    else:
        engine = migrated(postgresql(request.getfixturevalue("postgresql_url")))
        with engine.begin() as connection:
            connection.execute(text("TRUNCATE chats CASCADE"))
    yield engine
    engine.dispose()
