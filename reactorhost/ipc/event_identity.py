"""What an event of the log and its repeats have in common: they are one entry of the status, and one row of a view."""

from __future__ import annotations

import re
from collections.abc import Mapping

from reactorhost.ipc.status import EventStatus

REPEAT_SECONDS = 600.0
"""A later repeat is an entry of its own: the restart of today is not the restart of last week."""

_RUN_SECONDS = 60.0
# What happens once to each worker in turn, at a start, a reload or a scaling.
_OF_EACH_WORKER = frozenset({"worker_starting", "worker_ready", "worker_draining", "worker_exited"})

Identity = tuple[object, ...]

# Fields that differ from repeat to repeat; so does every float, which is a measure.
_VARYING = frozenset(
    {
        *("master", "worker", "slot", "pid", "for_slot", "peer", "connection", "connections"),
        *("seconds", "count", "suppressed", "restarts", "rss_peak_bytes", "value", "used"),
    }
)
_ENDED = frozenset({"worker_crashed", "worker_killed"})
_SECONDS = re.compile(r"\d+\.\d s")
_NAMED_WORKER = re.compile(r"worker \d+ \(pid \d+\)")


def is_repeat(event: EventStatus, before: EventStatus) -> bool:
    """Return whether an event belongs to the newest entry with its identity."""
    seconds = event["time"] - before["time"]
    if event["event"] not in _OF_EACH_WORKER or event["slots"] == before["slots"]:
        return seconds <= REPEAT_SECONDS
    # A later event of one of several workers is about that one: "workers 0-3 starting" must stay the start of all.
    once_for_each = before["count"] == len(before["slots"]) and not {*event["slots"]} & {*before["slots"]}
    return once_for_each and seconds <= _RUN_SECONDS


def identity_of(level: str, event: str, fields: Mapping[str, object]) -> Identity:
    """Return the identity of an event."""
    same = {key: value for key, value in fields.items() if key not in _VARYING and not isinstance(value, float)}
    error = same.get("error")
    if isinstance(error, str):
        # At one line of code the kind of the exception counts: its text often names a client.
        same["error"] = error.partition(":")[0] if "where" in same else _NAMED_WORKER.sub("worker", error)
    if event in _ENDED and isinstance(same.get("reason"), str):
        # The place behind it may have a client.
        same["reason"] = _SECONDS.sub("", str(same["reason"]).partition(", in ")[0])
    return level, event, *sorted(same.items(), key=lambda item: item[0])
