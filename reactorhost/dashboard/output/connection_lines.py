"""The table of client connections that `reactorhost connections` prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reactorhost.dashboard.text.quantities import duration, size
from reactorhost.printable import printable

_HEADINGS = ("SLOT", "PID", "ID", "SERVICE", "PEER", "AGE", "IDLE", "IN", "OUT", "QUEUED", "STATE")
_LEFT_ALIGNED = ("SERVICE", "PEER", "STATE")


def connection_lines(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the headings and a line for each connection.

    Plain text, because a table of rich takes seconds for a thousand rows, and there may be tens of thousands.
    """
    cells = [_HEADINGS, *(_cells(row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        padded = (
            cell.ljust(width) if heading in _LEFT_ALIGNED else cell.rjust(width)
            for heading, cell, width in zip(_HEADINGS, line, widths, strict=True)
        )
        yield "  ".join(padded).rstrip()


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        *(printable(str(row[key])) for key in ("slot", "pid", "id", "service", "peer")),
        *(duration(row[key]) for key in ("age_seconds", "idle_seconds")),
        *(size(row[key]) for key in ("bytes_in", "bytes_out", "queued_bytes")),
        row["state"],
    )
