"""The words of an inline command, split as Redis does: blanks between them, and quotes around what has blanks."""

from __future__ import annotations

import re


class UnbalancedQuotesError(ValueError):
    """A quote is not closed, or something other than a blank follows one."""


_ESCAPES = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"a": b"\a"}
# In double quotes \xHH is a byte, and a backslash escapes any other one. In single quotes only \' does.
_ESCAPE = re.compile(rb"\\(?:x([0-9a-fA-F]{2})|(.))", re.DOTALL)
_PIECE = re.compile(
    rb"""
    (?P<plain>[^\s"']+)
    | "(?P<double>(?:[^"\\]|\\.)*)"(?=\s|\Z)
    | '(?P<single>(?:[^'\\]|\\'|\\(?!'))*)'(?=\s|\Z)
    | (?P<blank>[\s\0]+)
    """,
    re.DOTALL | re.VERBOSE,
)


def split_words(line: bytes) -> list[bytes]:
    """Return the words of a line.

    Raises:
        UnbalancedQuotesError: the quotes are not in pairs.
    """
    words: list[bytes] = []
    word: bytes | None = None
    at = 0
    while at < len(line):
        piece = _PIECE.match(line, at)
        if piece is None:
            raise UnbalancedQuotesError
        at = piece.end()
        if piece["blank"] is not None:
            if word is not None:
                words.append(word)
            word = None
        else:
            word = (word or b"") + _unquoted(piece)
    return words if word is None else [*words, word]


def _unquoted(piece: re.Match[bytes]) -> bytes:
    if piece["double"] is not None:
        return _ESCAPE.sub(_unescaped, piece["double"])
    if piece["single"] is not None:
        return piece["single"].replace(b"\\'", b"'")
    return piece["plain"]


def _unescaped(escape: re.Match[bytes]) -> bytes:
    if escape[1]:
        return bytes.fromhex(escape[1].decode())
    return _ESCAPES.get(escape[2], escape[2])
