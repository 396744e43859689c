"""Format the line of one finished connection, as text or JSON, or for a terminal.

Nothing here makes a system call or reads a clock.
"""

from __future__ import annotations

import json
import textwrap
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# As of the lines of the host's log on a terminal, which are above and below.
_MARGIN = len("12:04:37.123 E worker 2  ")
_MARGIN_FROM_WIDTH = 2 * _MARGIN


@dataclass(frozen=True, slots=True)
class Entry:
    """One finished connection.

    Attributes:
        ended_at: Unix time in seconds.
        id: number of the connection, unique in the worker `pid`.
        seconds: how long it was open.
        reason: why it ended, the value of a `CloseReason`.
    """

    ended_at: float
    service: str
    id: int
    pid: int
    peer: str
    seconds: float
    bytes_in: int
    bytes_out: int
    reason: str


def text(entry: Entry) -> bytes:
    """Return the entry as a fixed number of words, separated by single spaces."""
    return (
        f"{_timestamp(entry.ended_at)} {entry.service} {_word(entry.peer)} {entry.seconds:.3f}s"
        f" in={entry.bytes_in} out={entry.bytes_out} reason={entry.reason} id={entry.id} pid={entry.pid}\n"
    ).encode()


def as_json(entry: Entry) -> bytes:
    """Return the entry as a JSON object on one line."""
    fields = {
        "time": _timestamp(entry.ended_at),
        "service": entry.service,
        "id": entry.id,
        "pid": entry.pid,
        "peer": entry.peer,
        "seconds": round(entry.seconds, 3),
        "bytes_in": entry.bytes_in,
        "bytes_out": entry.bytes_out,
        "reason": entry.reason,
    }
    return json.dumps(fields).encode() + b"\n"


FORMATS: Mapping[str, Callable[[Entry], bytes]] = {"text": text, "json": as_json}


def for_people(entry: Entry, slot: int, width: int) -> bytes:
    """Return the entry in the form of the host's log on a terminal: in local time, aligned, wrapped to its width.

    `width` is 0 if it is not known.
    """
    start = f"{_clock(entry.ended_at)}   {f'worker {slot}':<9} "
    # The worker is named by its slot, so its process id would only repeat it.
    _, rest = text(entry).decode().rstrip().rsplit(" pid=", 1)[0].split(" ", 1)
    if not width:
        return f"{start}{rest}\n".encode()
    margin = " " * (_MARGIN if width >= _MARGIN_FROM_WIDTH else 4)
    lines = textwrap.fill(
        rest,
        width,
        initial_indent=start,
        subsequent_indent=margin,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return f"{lines}\n".encode()


def _clock(unix_seconds: float) -> str:
    seconds, milliseconds = _rounded(unix_seconds)
    return f"{time.strftime('%H:%M:%S', time.localtime(seconds))}.{milliseconds:03d}"


def _timestamp(unix_seconds: float) -> str:
    seconds, milliseconds = _rounded(unix_seconds)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{milliseconds:03d}Z"


def _rounded(unix_seconds: float) -> tuple[int, int]:
    """Return seconds and milliseconds; these are rounded first, which may carry into the next second."""
    return divmod(round(unix_seconds * 1000), 1000)


def _word(peer: str) -> str:
    # A unix client chooses the name of its socket; without quotes a newline in it would forge a log line.
    if not peer:
        return "-"
    if peer.isprintable() and not any(c in peer for c in ' "\\'):
        return peer
    return json.dumps(peer).replace(" ", "\\u0020")
