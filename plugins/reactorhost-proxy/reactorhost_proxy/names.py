"""Which pool a server name leads to: an exact name first, then the longest `*.DOMAIN`, then `*`."""

from __future__ import annotations

import re
from collections.abc import Mapping

_PATTERN = re.compile(r"\*|(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*", re.IGNORECASE)
ANY = "*"


def check_pattern(pattern: str) -> None:
    """Check a name or pattern.

    Raises:
        ValueError: it is neither a host name, `*.DOMAIN` nor `*`.
    """
    if not _PATTERN.fullmatch(pattern):
        raise ValueError(f"{pattern!r} is not a name: write a host name, *.DOMAIN or *")


class NameTable:
    """The pools of one service by server name."""

    __slots__ = ("_any", "_exact", "_suffixes")

    def __init__(self, pools: Mapping[str, str]) -> None:
        lowered = {pattern.lower(): pool for pattern, pool in pools.items()}
        self._any = lowered.pop(ANY, None)
        self._suffixes = {pattern[2:]: pool for pattern, pool in lowered.items() if pattern.startswith("*.")}
        self._exact = {pattern: pool for pattern, pool in lowered.items() if not pattern.startswith("*.")}

    def pool_of(self, name: str | None) -> str | None:
        """Return the pool of a name in lower case, or of a client without one; None if there is none."""
        if name is None:
            return self._any
        if name in self._exact:
            return self._exact[name]
        _, dot, domain = name.partition(".")
        while dot:
            if domain in self._suffixes:
                return self._suffixes[domain]
            _, dot, domain = domain.partition(".")
        return self._any
