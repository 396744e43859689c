"""The URL of a Redis server: where it is, what to log in with, and limits.

    redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE][?OPTION=VALUE&...]
    rediss://...                             the same with TLS
    redis+unix://[[USER]:PASSWORD@]/PATH     a unix socket; ?db= is the database

No text of an error contains any part of the URL that may be the password.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

_PORT = 6379
_MOST_PREFIX = 100
# sun_path of struct sockaddr_un has 108 bytes, the last one for a NUL (unix(7)).
_MOST_PATH_BYTES = 107
_SPECIAL = "write a /, ?, #, @ or : of a password as %2F, %3F, %23, %40, %3A"


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisUrl:
    """A Redis server, and how to use it; times are seconds, sizes bytes.

    Attributes:
        address: what `worker.connect` takes; without user and password.
        prefix: the beginning of the name of each channel and stream.
        timeout: time without an answer after which the connection counts as broken.
        retry: the longest time between two attempts to connect.
        max_queue: commands that are sent or wait to be, and are not answered yet.
        ca: file of the authorities that sign the server's certificate; None for those of the system.
        certificate: file of a client certificate; `key` is its private key, if it is in another file.
        server_name: the name in the server's certificate, if it is not the host.
    """

    address: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    database: int = 0
    prefix: str = "reactorhost"
    timeout: float = 5.0
    retry: float = 10.0
    max_queue: int = 8 << 20
    ca: str | None = None
    certificate: str | None = None
    key: str | None = None
    server_name: str | None = None

    @property
    def uses_tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.address.startswith("tls://")

    def without_password(self, text: str) -> str:
        """Return a text in which the password is replaced: some errors of Redis repeat the command."""
        return text.replace(self.password, "***") if self.password else text


def parse(url: str) -> RedisUrl:
    """Return what a URL says.

    Raises:
        ValueError: it is malformed.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
        if port == 0:
            raise ValueError
    except ValueError:
        # Its text may contain the beginning of a password with a slash.
        raise ValueError(f"the port is not a number from 1 to 65535; {_SPECIAL}") from None
    options = _options(parts)
    if parts.scheme == "redis+unix":
        address = _unix_address(parts)
    elif parts.scheme in ("redis", "rediss"):
        address, options = _internet_address(parts, port, options)
    else:
        raise ValueError(f"the scheme is {parts.scheme!r}, not redis, rediss or redis+unix")
    if parts.scheme != "rediss":
        for name in ("ca", "certificate", "key", "server_name"):
            if name in options:
                raise ValueError(f"the option {name} is for rediss://")
    if "key" in options and "certificate" not in options:
        raise ValueError("the option key needs the option certificate")
    password = None if parts.password is None else unquote(parts.password)
    user = unquote(parts.username or "") or None
    if user is not None and not password:
        raise ValueError(f"there is a user and no password; write redis://USER:PASSWORD@HOST and {_SPECIAL}")
    return RedisUrl(address=address, user=user, password=password or None, **options)


def _internet_address(parts: SplitResult, port: int | None, options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    if not parts.hostname:
        raise ValueError("there is no host; write redis://HOST:PORT")
    path = parts.path.strip("/")
    if path:
        if "database" in options:
            raise ValueError("the database is named twice, in the path and by the option db")
        options = {**options, "database": _whole(path, 0, 1_000_000, "the database")}
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    scheme = "tls" if parts.scheme == "rediss" else "tcp"
    return f"{scheme}://{host}:{_PORT if port is None else port}", options


def _unix_address(parts: SplitResult) -> str:
    if parts.hostname or len(parts.path) < 2:
        raise ValueError("the path of the socket is not absolute; write redis+unix:///PATH")
    path = unquote(parts.path)
    if path.endswith("/") or len(path.encode()) > _MOST_PATH_BYTES:
        raise ValueError(f"the path of the socket names a directory, or has more than {_MOST_PATH_BYTES} bytes")
    return f"unix://{path}"


def _options(parts: SplitResult) -> dict[str, Any]:
    if parts.fragment:
        raise ValueError(f"there is a fragment, the part behind #; {_SPECIAL}")
    found: dict[str, Any] = {}
    for name, text in parse_qsl(parts.query, keep_blank_values=True):
        if name not in _OPTIONS:
            raise ValueError(f"the option {name!r} is unknown; there are {', '.join(_OPTIONS)}")
        attribute, read = _OPTIONS[name]
        if attribute in found:
            raise ValueError(f"the option {name} is there twice")
        found[attribute] = read(text, f"the option {name}")
    return found


def _prefix(text: str, what: str) -> str:
    if not (text.isprintable() and 0 < len(text) <= _MOST_PREFIX):
        raise ValueError(f"{what} must have 1 to {_MOST_PREFIX} printable characters")
    return text


def _path(text: str, what: str) -> str:
    if not text.startswith("/"):
        # A worker may run in another directory than the command that has started the host.
        raise ValueError(f"{what} is not an absolute path")
    return text


def _name(text: str, what: str) -> str:
    if not text:
        raise ValueError(f"{what} is empty")
    return text


def _whole(text: str, least: int, most: int, what: str) -> int:
    if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
        raise ValueError(f"{what} must be a number from {least} to {most}")
    return int(text)


def _seconds(text: str, what: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0.1 <= seconds <= 3600:
        raise ValueError(f"{what} must be a number of seconds from 0.1 to 3600")
    return seconds


_OPTIONS: Mapping[str, tuple[str, Callable[[str, str], object]]] = {
    "prefix": ("prefix", _prefix),
    "db": ("database", lambda text, what: _whole(text, 0, 1_000_000, what)),
    "timeout": ("timeout", _seconds),
    "retry": ("retry", _seconds),
    "max_queue": ("max_queue", lambda text, what: _whole(text, 1024, 1 << 36, what)),
    "ca": ("ca", _path),
    "certificate": ("certificate", _path),
    "key": ("key", _path),
    "server_name": ("server_name", _name),
}
"""By the name of an option: the attribute that it sets, and what reads its text."""
