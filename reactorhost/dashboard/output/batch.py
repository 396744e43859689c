"""Batch mode of `top`: one line per status document, for pipes and dumb terminals."""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Sequence
from math import inf

from reactorhost.dashboard.model.source import StatusSource
from reactorhost.dashboard.tables.columns import BY_NAME, Column, columns_named
from reactorhost.dashboard.tables.rows import total
from reactorhost.dashboard.text.local_time import clock
from reactorhost.errors import UsageError
from reactorhost.ipc.status import StatusDocument

_LINES_PER_HEADING = 20
_GAP = "  "
# select() cannot wait for infinity, which is when a recording at its end is due.
_LONGEST_WAIT_SECONDS = 60.0
_PER_WORKER = ("pid", "slot", "gen", "state", "up", "pss")
_DEFAULT = ("clients", "acc", "refused", "rx", "tx", "msg", "errors", "p50", "p99", "lag", "cpu", "rss", "restarts")
# What a narrow terminal has no room for, the first ones first.
_DISPENSABLE = ("p50", "restarts", "acc", "tx", "rx", "refused", "rss", "lag", "cpu", "p99", "errors", "msg")


class BatchLines:
    """Makes a line of totals for every document, with headings above every twentieth line.

    Without chosen columns, those are left out for which the width has no room.

    Raises:
        UsageError: a column does not exist, or has no total.
    """

    def __init__(self, names: Sequence[str], width: float = inf) -> None:
        columns = columns_named(names or _fitting(width))
        wrong = [name for name in names if name in _PER_WORKER]
        if wrong:
            raise UsageError(f"batch lines are about all workers and have no column {wrong[0]!r}")
        self._columns: list[Column] = [column for column in columns if column.name not in _PER_WORKER]
        self._count = 0

    def lines(self, document: StatusDocument) -> str:
        """Return the next line, below the headings if they are due."""
        headings = ""
        if self._count % _LINES_PER_HEADING == 0:
            names = [column.heading.rjust(column.width) for column in self._columns]
            headings = _GAP.join(["TIME    ", "  READY", *names, "QUEUE\n"])
        self._count += 1
        values = total(document).values
        ready = f"{document['workers_ready']}/{document['workers_wanted']}".rjust(7)
        cells = [column.show(values.get(column.name)).rjust(column.width) for column in self._columns]
        depths = [each["fullest_depth"] for each in document["listeners"] if each["fullest_depth"] is not None]
        queue = str(max(depths)) if depths else "-"
        return headings + _GAP.join([clock(document["time"]), ready, *cells, queue.rjust(5)])


def _fitting(width: float) -> Sequence[str]:
    """Return the default columns that fit beside time, ready workers and queue."""
    names = list(_DEFAULT)
    for name in _DISPENSABLE:
        if len(_GAP.join(["TIME    ", "  READY", *(" " * BY_NAME[each].width for each in names), "QUEUE"])) <= width:
            break
        names.remove(name)
    return names


def follow(
    source: StatusSource, show: Callable[[StatusDocument], object], notify: Callable[[str], object], *, most: int | None
) -> None:
    """Show every document of a source.

    Args:
        source: the source; it is closed at the end.
        show: called with every document.
        notify: called with a sentence when the host is gone and when it is back.
        most: the number of documents after which to return; None for no limit.
    """
    shown = 0
    gone = False
    try:
        while True:
            now = time.monotonic()
            documents = source.advance(now)
            lost = source.link(now).lost_seconds is not None
            if lost is not gone:
                gone = lost
                notify("the host is gone, trying to reconnect" if gone else "the host is back")
            for document in documents:
                show(document)
                shown += 1
                if shown == most:
                    return
            if source.ended():
                return
            timeout = min(source.due() - time.monotonic(), _LONGEST_WAIT_SECONDS)
            select.select(source.sockets(), (), (), max(0.0, timeout))
    finally:
        source.close()
