"""Which lost clients and which lines of the log the actions on a host explain. Nothing here makes a system call.

Of a worker that is killed, exactly the connections that it had accepted may be lost. If it was stopped first, they are
known by their ports; else they are those that had its greeting, and those that were connecting at that moment.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

MARGIN_SECONDS = 1.0
"""Between a loss and the action that explains it, for the clocks of a log and late wake-ups."""

RESTORED_SECONDS = 15.0
"""The longest time until a file is there again: the host looks once a second, unless it is stopped."""

_LOST = frozenset({"eof", "ECONNRESET", "EPIPE", "ENOTCONN", "EBADF", "ConnectionResetError", "BrokenPipeError"})
"""How clients see the end of a process. asyncio raises some errors without a number, and closes a socket by itself."""

_MISSING = frozenset({"ENOENT", "ECONNREFUSED"})


@dataclass(slots=True)
class Kill:
    """The end of a worker that the host did not order.

    Attributes:
        pid: the worker.
        moment: when it was killed, on the monotonic clock.
        ended: when it ended, as far as is known: a signal waits for a worker that is stopped.
        ports: the ports of the clients that it had accepted, None if they are not known.
    """

    pid: int
    moment: float
    ports: frozenset[int] | None = None
    ended: float = math.inf


@dataclass(slots=True)
class Causes:
    """What was done to a host, as far as it explains losses and log lines.

    Attributes:
        kills: workers that ended unexpectedly, by pid.
        unlinked: moments from which the file of the unix socket was missing.
        expected_events: events at level error that the actions explain.
    """

    kills: dict[int, Kill] = field(default_factory=dict)
    unlinked: list[float] = field(default_factory=list)
    expected_events: set[str] = field(default_factory=set)

    def add_kill(self, kill: Kill) -> None:
        """Record a kill; the first record of a worker stays, since it has the ports."""
        self.kills.setdefault(kill.pid, kill)

    def add_end(self, pid: int, moment: float) -> None:
        """Record the end of a worker, whatever ended it."""
        if pid in self.kills:
            self.kills[pid].ended = moment


def excuse(failure: dict[str, Any], causes: Causes) -> str | None:
    """Return what explains the loss of a client, None if nothing does."""
    error = failure["error"]
    if error in _MISSING:
        return "file removed" if _was_missing(failure, causes) else None
    if error not in _LOST and not error.startswith("tls "):
        return None
    if failure["pid"] is not None:
        kill = causes.kills.get(failure["pid"])
        return "killed" if kill and _had_accepted(kill, failure["port"]) else None
    # Not greeted yet, so it is not known which worker had accepted it.
    suspects = [kill for kill in causes.kills.values() if _overlaps(failure, kill)]
    return "killed before its greeting" if any(_had_accepted(kill, failure["port"]) for kill in suspects) else None


def _was_missing(failure: dict[str, Any], causes: Causes) -> bool:
    begun, ended = failure["begun"] - RESTORED_SECONDS, failure["ended"]
    return failure["target"] == "unix" and any(begun < moment <= ended for moment in causes.unlinked)


def _had_accepted(kill: Kill, port: int | None) -> bool:
    return kill.ports is None or port is None or port in kill.ports


def _overlaps(failure: dict[str, Any], kill: Kill) -> bool:
    begun, ended = failure["begun"] - MARGIN_SECONDS, failure["ended"] + MARGIN_SECONDS
    return bool(begun <= kill.ended and kill.moment <= ended)


def verdict(failures: Iterable[dict[str, Any]], causes: Causes) -> tuple[Counter[str], list[dict[str, Any]]]:
    """Return how many failures each cause explains, and those that none does."""
    explained: Counter[str] = Counter()
    unexplained = []
    for failure in failures:
        reason = excuse(failure, causes)
        if reason is None:
            unexplained.append(failure)
        else:
            explained[reason] += 1
    return explained, unexplained
