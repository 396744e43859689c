"""Addresses of services, and endpoints of connections.

Nothing here resolves a name or opens a socket.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import NamedTuple

from reactorhost.errors import UsageError, did_you_mean

SCHEMES = ("tcp", "tls", "udp", "unix", "fd")


@dataclass(frozen=True, slots=True)
class Address:
    """An address to listen on: host and port of TCP, TLS or UDP, the path of a unix socket, or a name of sockets.

    `scheme` is one of `SCHEMES`. An empty `host` means every interface, IPv4 and IPv6. With port 0 the kernel chooses
    a free port. A path `@NAME` is an abstract name (unix(7)), which has no file. With the scheme `fd`, `path` is the
    name or number under which a service manager passes sockets.
    """

    scheme: str
    host: str = ""
    port: int = 0
    path: str = ""

    @property
    def is_abstract(self) -> bool:
        """Whether it is the abstract name of a unix socket."""
        return self.path.startswith("@")

    @property
    def unix_name(self) -> str:
        """The path or abstract name as the socket module has it."""
        return f"\0{self.path[1:]}" if self.is_abstract else self.path

    def __str__(self) -> str:
        if self.scheme in ("unix", "fd"):
            return f"{self.scheme}://{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host or "*"
        return f"{self.scheme}://{host}:{self.port}"


class Endpoint(NamedTuple):
    """One end of a connection; as text `host:port`, `[host]:port`, or `unix` with a path if there is one."""

    host: str
    port: int

    def __str__(self) -> str:
        if self.host.startswith("unix"):
            return self.host
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def unix_endpoint(name: str | bytes) -> Endpoint:
    """Return the endpoint for the address of a unix socket, as the socket module has it."""
    text = name.decode(errors="backslashreplace") if isinstance(name, bytes) else name
    if text.startswith("\0"):
        # Some programs fill an abstract name up with NULs.
        text = f"@{text[1:].rstrip(chr(0))}"
    return Endpoint(f"unix:{text}" if text else "unix", 0)


def parse(uri: str) -> Address:
    """Parse `tcp://HOST:PORT`, `tcp://[V6]:PORT`, `HOST:PORT`, the same with `tls` or `udp`, `unix://PATH` or `fd://NAME`.

    Raises:
        UsageError: it is not an address; the hint shows the right form.
    """
    scheme, separator, rest = uri.partition("://")
    if not separator:
        scheme, rest = ("unix", uri) if uri.startswith(("/", "@")) else ("tcp", uri)
    if scheme not in SCHEMES:
        hint = did_you_mean(scheme, SCHEMES) or "use tcp://HOST:PORT, tls://, udp://, unix:///PATH or fd://NAME"
        raise UsageError(f"{uri!r} has an unknown scheme {scheme!r}", hint=hint)
    if scheme == "fd":
        return _passed(uri, rest)
    return _unix(uri, rest) if scheme == "unix" else _internet(scheme, uri, rest)


def _passed(uri: str, name: str) -> Address:
    # sd_listen_fds_with_names(3): the characters and the length that the name of a descriptor may have.
    if not name or len(name) > 255 or not name.isascii() or not name.isprintable() or ":" in name:
        hint = "write the name from FileDescriptorName= of a .socket unit, or the number of a descriptor"
        raise UsageError(f"{uri!r} is not the name of a socket", hint=hint)
    return Address("fd", path=name)


def _unix(uri: str, path: str) -> Address:
    is_abstract = path.startswith("@")
    if path == "@" or (not is_abstract and (not path.startswith("/") or path.endswith("/"))):
        hint = "write unix:///PATH, for example unix:///run/echo.sock, or unix://@NAME for an abstract name"
        raise UsageError(f"{uri!r} is not an absolute path", hint=hint)
    if "\0" in path:
        raise UsageError(f"{uri!r} has a null byte", hint="remove it")
    try:
        length = len(os.fsencode(path))
    except UnicodeEncodeError:
        raise UsageError(f"{uri!r} is not a valid path") from None
    # sun_path of struct sockaddr_un has 108 bytes, one of them for a NUL: the last one of a path, the first one of an
    # abstract name (unix(7)).
    if length > 107 + is_abstract:
        raise UsageError(f"{uri!r} is too long", hint="use a path or a name of at most 107 bytes")
    return Address("unix", path=path)


def _internet(scheme: str, uri: str, rest: str) -> Address:
    host, separator, port = rest.rpartition(":")
    # `::1` without brackets: what follows the last colon is part of the address, and no port.
    if not separator or host.endswith(":") or host.count("[") != host.count("]"):
        raise UsageError(f"{uri!r} has no port", hint=f"write {scheme}://HOST:PORT, or for IPv6 {scheme}://[::1]:9000")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise UsageError(f"{uri!r} is ambiguous", hint=f"write an IPv6 address in brackets: {scheme}://[::1]:9000")
    # isdigit() and int() accept the digits of all scripts.
    if not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise UsageError(f"{uri!r} has no valid port", hint="use a number from 0 to 65535")
    if any(character.isspace() or character in "/[]@" for character in host):
        raise UsageError(f"{uri!r} has no valid host", hint=f"write {scheme}://HOST:PORT")
    return Address(scheme, "" if host == "*" else host, int(port))
