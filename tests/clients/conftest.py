"""The API that the clients are tried against."""

from tests.api.conftest import clever_api

__all__ = ["clever_api"]
