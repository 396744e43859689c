"""The options of SCAN and its kind, their reply, and how much is returned by chance."""

from __future__ import annotations

import re
from dataclasses import dataclass

from reactorhost_redisserver.globs import compiled
from reactorhost_redisserver.numbers import parse_integer
from reactorhost_redisserver.replies import SYNTAX_ERROR, ReplyError, array, bulk, bulks

_CURSOR = re.compile(rb"[0-9]{1,20}")
_MOST_CURSOR = 1 << 64
MOST_REPEATED = 1_000_000
"""How many fields or members may be requested that need not be different. Redis allows more, and answers with
gigabytes."""


@dataclass(slots=True)
class ScanOptions:
    """What a SCAN looks for."""

    cursor: int
    count: int = 10
    pattern: re.Pattern[bytes] | None = None
    kind: bytes | None = None

    def matches(self, name: bytes) -> bool:
        """Return whether the pattern matches a name."""
        return self.pattern is None or self.pattern.fullmatch(name) is not None


def parse_cursor(word: bytes) -> int:
    """Return a cursor.

    Raises:
        ReplyError: it is none.
    """
    if not _CURSOR.fullmatch(word) or int(word) >= _MOST_CURSOR:
        raise ReplyError("ERR invalid cursor")
    return int(word)


def scan_options(words: list[bytes], *, kinds: bool = False) -> ScanOptions:
    """Return the options of a SCAN from its cursor on.

    Raises:
        ReplyError: they are invalid.
    """
    options = ScanOptions(parse_cursor(words[0]))
    rest = iter(words[1:])
    for word in rest:
        option, value = word.upper(), next(rest, None)
        if value is None:
            raise ReplyError(SYNTAX_ERROR)
        if option == b"COUNT":
            options.count = parse_integer(value)
            if options.count < 1:
                raise ReplyError(SYNTAX_ERROR)
        elif option == b"MATCH":
            options.pattern = compiled(value)
        elif option == b"TYPE" and kinds:
            options.kind = value.lower()
        else:
            raise ReplyError(SYNTAX_ERROR)
    return options


def scan_reply(cursor: int, words: list[bytes]) -> bytes:
    """Return the reply of a SCAN."""
    return array([bulk(b"%d" % cursor), bulks(words)])
