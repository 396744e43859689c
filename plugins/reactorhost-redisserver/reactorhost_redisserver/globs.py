r"""Glob patterns of Redis as regular expressions: `*`, `?`, `[a-c]`, `[^a]` and `\` before a literal character."""

from __future__ import annotations

import functools
import re


@functools.lru_cache(maxsize=256)
def compiled(glob: bytes) -> re.Pattern[bytes]:
    """Return the regular expression that matches what a pattern does, with `fullmatch`.

    What stands between two stars is matched where it is found first, without another attempt: that is sufficient, and
    no pattern takes a time that grows by powers.
    """
    if len(glob) > 1 and not glob.strip(b"*"):
        # As in Redis: of all patterns `*` alone matches an empty text.
        return re.compile(b".+", re.DOTALL)
    head, *others = _segments(glob)
    if not others:
        return re.compile(head, re.DOTALL)
    *middle, tail = others
    return re.compile(head + b"".join(b"(?>.*?%b)" % each for each in middle if each) + b".*" + tail, re.DOTALL)


def _segments(glob: bytes) -> list[bytes]:
    """Return the regular expressions of what stands between the stars."""
    segments, at = [b""], 0
    while at < len(glob):
        character = glob[at : at + 1]
        at += 1
        if character == b"*":
            segments.append(b"")
            continue
        if character == b"?":
            part = b"."
        elif character == b"[":
            part, at = _character_class(glob, at)
        else:
            if character == b"\\" and at < len(glob):
                character = glob[at : at + 1]
                at += 1
            part = re.escape(character)
        segments[-1] += part
    return segments


def _character_class(glob: bytes, at: int) -> tuple[bytes, int]:
    """Return the expression of a class that begins at `at`, and where it ends."""
    negated = glob[at : at + 1] == b"^"
    at += negated
    parts = []
    while at < len(glob) and glob[at : at + 1] != b"]":
        if glob[at : at + 1] == b"\\" and at + 1 < len(glob):
            parts.append(_hex(glob[at + 1], glob[at + 1]))
            at += 2
        elif glob[at + 1 : at + 2] == b"-" and at + 2 < len(glob):
            low, high = sorted((glob[at], glob[at + 2]))
            parts.append(_hex(low, high))
            at += 3
        else:
            parts.append(_hex(glob[at], glob[at]))
            at += 1
    if not parts:
        # An empty class matches nothing, and its negation any character.
        return (b"." if negated else b"(?!)"), at + 1
    return b"[%b%b]" % (b"^" if negated else b"", b"".join(parts)), at + 1


def _hex(low: int, high: int) -> bytes:
    return rb"\x%02x-\x%02x" % (low, high)
