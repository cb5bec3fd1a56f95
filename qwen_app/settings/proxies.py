"""The proxies that our clients use to reach other machines."""

from __future__ import annotations

import logging
from collections.abc import MutableMapping

from qwen_app.http.server_address import ServerAddress

log = logging.getLogger(__name__)

_PROXIES = ("http_proxy", "https_proxy", "all_proxy")
_THIS_MACHINE = "localhost,127.0.0.1,0.0.0.0,::1"


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


def _is_proxy(value: str) -> bool:
    try:
        ServerAddress.parse(value.lower() if "://" in value else f"http://{value}")
    except ValueError:
        return False
    return True
