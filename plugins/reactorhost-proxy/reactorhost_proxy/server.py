"""A server as the operator writes it: an address, and words behind it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

_TCP = re.compile(r"(tcp|tls)://(\[[0-9a-fA-F:.]+(%[^\s\]/]+)?\]|[^\s:/\[\]@*]+):([0-9]{1,5})")
_UNIX = re.compile(r"unix://(/\S*[^\s/]|@\S+)")
_NUMBER = re.compile(r"(weight|max_connections)=([0-9]{1,6})")
_LARGEST = {"weight": 1000, "max_connections": 100_000}
# `sun_path` of Linux, with the zero byte that ends a path or begins an abstract name.
_LONGEST_UNIX = 107


@dataclass(frozen=True, slots=True)
class Server:
    """One server of a pool.

    Attributes:
        weight: how much of the clients it gets, in proportion to the others.
        max_connections: how many clients it may have at the same time; 0: what its pool says.
        is_backup: it is used while no other server of the pool is.
        is_draining: it gets no new clients.
    """

    address: str
    weight: int = 1
    max_connections: int = 0
    is_backup: bool = False
    is_draining: bool = False


def parse(text: str) -> Server:
    """Parse `ADDRESS [weight=NUMBER] [max_connections=NUMBER] [backup] [drain]`.

    Raises:
        ValueError: it is not of this form.
    """
    address, *words = text.split() or [""]
    if not (_is_tcp(address) or _UNIX.fullmatch(address)):
        forms = "tcp://HOST:PORT or tls://HOST:PORT with a port from 1 to 65535, or unix:///PATH"
        raise ValueError(f"{address!r} is not the address of a server: write {forms}")
    if address.startswith("unix://") and len(os.fsencode(address)) > len("unix://") + _LONGEST_UNIX:
        raise ValueError(f"{address} is longer than the {_LONGEST_UNIX} bytes of a unix socket's address")
    numbers, flags = {}, set()
    for word in words:
        number = _NUMBER.fullmatch(word)
        if number and number[1] in numbers:
            raise ValueError(f"{number[1]} is there twice behind {address}")
        if number and 1 <= int(number[2]) <= _LARGEST[number[1]]:
            numbers[number[1]] = int(number[2])
        elif word in ("backup", "drain"):
            flags.add(word)
        else:
            known = ", ".join(f"{name}=N (1 to {largest})" for name, largest in _LARGEST.items())
            raise ValueError(f"{word!r} behind {address} is not valid: write {known}, backup or drain")
    return Server(address, **numbers, is_backup="backup" in flags, is_draining="drain" in flags)


def _is_tcp(address: str) -> bool:
    found = _TCP.fullmatch(address)
    return found is not None and 1 <= int(found[4]) <= 65535
