"""Batch: a host as lines, one a document, for pipes and dumb terminals."""

from __future__ import annotations

import json
import select
import time
from collections.abc import Callable, Sequence

from reactorhost.dashboard.tables.columns import Column, chosen
from reactorhost.dashboard.live.header import clock
from reactorhost.dashboard.tables.rows import total
from reactorhost.dashboard.model.source import Source
from reactorhost.errors import UsageError
from reactorhost.ipc.status import StatusDocument

_LINES_A_HEADING = 20
_ONE_WORKER_ONLY = ("pid", "slot", "gen", "state", "up", "pss")
_USUAL = ("conns", "acc", "refused", "rx", "tx", "msg", "errors", "p50", "p99", "lag", "cpu", "rss", "restarts")

Write = Callable[[str], object]


class Lines:
    """Writes a line of sums for every document, and headings over every twentieth.

    Raises:
        UsageError: there is no such column, or it makes no sense for all workers together.
    """

    def __init__(self, names: Sequence[str], write: Write) -> None:
        columns = chosen(names or _USUAL)
        wrong = [name for name in names if name in _ONE_WORKER_ONLY]
        if wrong:
            raise UsageError(f"a line is about all workers, and has no column {wrong[0]!r}")
        self._columns: list[Column] = [column for column in columns if column.name not in _ONE_WORKER_ONLY]
        self._write = write
        self._count = 0

    def __call__(self, document: StatusDocument) -> None:
        """Write the next line."""
        if self._count % _LINES_A_HEADING == 0:
            headings = [column.heading.rjust(column.width) for column in self._columns]
            self._write("  ".join(["TIME    ", "  READY", *headings, "QUEUE"]))
        self._count += 1
        values = total(document).values
        ready = f"{document['workers_ready']}/{document['workers_wanted']}".rjust(7)
        figures = [column.show(values.get(column.name)).rjust(column.width) for column in self._columns]
        self._write("  ".join([clock(document["time"]), ready, *figures, _queue(document).rjust(5)]))


class JsonLines:
    """Writes every document as a line of JSON."""

    def __init__(self, write: Write) -> None:
        self._write = write

    def __call__(self, document: StatusDocument) -> None:
        """Write the next line."""
        self._write(json.dumps(document))


def follow(
    source: Source, show: Callable[[StatusDocument], object], say: Callable[[str], object], *, most: int | None
) -> None:
    """Show documents as they come, at most so many; `say` hears when the host is gone and when it is back."""
    shown = 0
    gone = False
    try:
        while most is None or shown < most:
            now = time.monotonic()
            for document in source.advance(now)[: None if most is None else most - shown]:
                show(document)
                shown += 1
            lost = source.link(now).lost_seconds is not None
            if lost is not gone:
                gone = lost
                say("the host is gone, looking for it again" if gone else "the host is back")
            if source.ended():
                return
            if most is None or shown < most:
                select.select(source.sockets(), (), (), max(0.0, min(source.due() - time.monotonic(), 60.0)))
    finally:
        source.close()


def _queue(document: StatusDocument) -> str:
    depths = [listener["depth"] for listener in document["listeners"] if listener["depth"] is not None]
    return str(max(depths)) if depths else "-"
