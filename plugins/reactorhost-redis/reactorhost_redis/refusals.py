"""What an error of Redis means for the operator, and whether waiting helps."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

_LINE_SECONDS = 60.0
_LONGEST_TEXT = 200


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error of Redis.

    Attributes:
        code: its first word, by which lines of the log are limited.
        sentence: what it means, and what to do.
        lasts: whether only the operator can end it, so that there is no hurry to try again.
    """

    code: str
    sentence: str
    lasts: bool


_MEANINGS = {
    "WRONGPASS": (
        "the user or the password is wrong, or the user is disabled; correct them in [bus] url, or the server's ACL",
        True,
    ),
    "NOAUTH": ("the server requires a password; write it in [bus] url: redis://:PASSWORD@HOST", True),
    "NOPERM": (
        "the user may not run a command or use a channel or key of the bus; see the ACL in the guide of the bus",
        True,
    ),
    "NOPROTO": ("the server does not speak RESP3; the bus needs Redis 6.0 or later", True),
    "LOADING": ("the server is still loading its data", False),
    "BUSY": ("the server runs a script that does not end", False),
    "MASTERDOWN": ("the server is a replica that has lost its master", False),
    "READONLY": ("the server is a read-only replica, which stores no history; use the master in [bus] url", True),
    "OOM": ("the server has reached maxmemory, so no history is stored; raise maxmemory, or store less", False),
    "MISCONF": ("the server cannot write to its disk and refuses to store; see its log", False),
    "MOVED": (
        "the server is part of a Redis Cluster, and stores the history of only some groups; use a server without it",
        True,
    ),
    "CLUSTERDOWN": ("the server is part of a Redis Cluster that is down", False),
    "NOSCRIPT": ("the server does not know a script, and the bus uses none; is this Redis?", True),
}

_PHRASES = {
    "max number of clients": ("the server has reached maxclients", False),
    "unknown command": ("the server does not know a command that the bus needs; it needs Redis 6.0 or later", True),
    "without any password configured": (
        "the server has no password, but [bus] url has one; remove it there, or set it in the server",
        True,
    ),
    "DB index is out of range": ("the server does not have the database of [bus] url", True),
}
"""Errors without a code of their own."""


def refusal_of(error: Exception, scrub: Callable[[str], str]) -> Refusal:
    """Return what an error reply means; `scrub` removes the password from a text."""
    text = str(error)
    code = text.partition(" ")[0].rstrip(":")
    if code in _MEANINGS:
        return Refusal(code, *_MEANINGS[code])
    for phrase, (sentence, lasts) in _PHRASES.items():
        if phrase in text:
            # Not the text: it repeats the beginning of the command, and that of a login is the password.
            return Refusal(phrase, sentence, lasts)
    return Refusal(code, f"the server has refused a command: {scrub(text)[:_LONGEST_TEXT]}", False)


@dataclass(slots=True)
class RefusalLog:
    """Logs each kind of refusal at most once a minute, with the number of those that were not logged."""

    log: logging.Logger
    now: Callable[[], float]
    _kinds: dict[str, tuple[float, int]] = field(default_factory=dict)

    def report(self, refusal: Refusal) -> None:
        """Log a refusal, or count it."""
        now = self.now()
        due, suppressed = self._kinds.get(refusal.code, (now, 0))
        if now < due:
            self._kinds[refusal.code] = (due, suppressed + 1)
            return
        self._kinds[refusal.code] = (now + _LINE_SECONDS, 0)
        more = f" ({suppressed} more since the last line)" if suppressed else ""
        self.log.error("Redis: %s%s", refusal.sentence, more)
