"""The table of client connections that `reactorhost connections` prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import inf
from typing import Any

from reactorhost.dashboard.text.quantities import amount, duration
from reactorhost.printable import printable

_HEADINGS = ("SLOT", "PID", "ID", "SERVICE", "PEER", "AGE", "IDLE", "IN", "OUT", "QUEUED", "STATE")
_GROUP_HEADINGS = ("CLIENTS", "OLDEST", "IDLE", "IN", "OUT", "QUEUED")
_RATES = ("IN/s", "OUT/s")
_GAP = "  "
_LEFT_ALIGNED = ("SERVICE", "PEER", "STATE", "TLS")
_DISPENSABLE = ("TLS", "QUEUED", "SLOT", "IDLE", "OUT/s", "IN/s", "OUT", "IN", "SERVICE", "STATE", "OLDEST", "AGE")
"""What a narrow terminal does without, in this order. `disconnect` needs the rest, and a group its name."""


def connection_lines(rows: Sequence[Mapping[str, Any]], width: float = inf) -> Iterator[str]:
    """Yield the headings and a line for each connection, with the columns that fit into a width.

    Plain text, because a table of rich takes seconds for a thousand rows, and there may be tens of thousands.
    """
    has_tls = any(row["tls"] for row in rows)
    has_rates = any("in_per_second" in row for row in rows)
    headings = (*_HEADINGS, *(_RATES if has_rates else ()), *(("TLS",) if has_tls else ()))
    yield from _table(
        headings,
        [
            (*_cells(row), *(_rates(row) if has_rates else ()), *((_tls(row["tls"]),) if has_tls else ()))
            for row in rows
        ],
        width,
    )


def group_lines(rows: Sequence[Mapping[str, Any]], group: str, width: float = inf) -> Iterator[str]:
    """Yield the headings and a line for each group of connections, with the columns that fit into a width."""
    has_rates = any("in_per_second" in row for row in rows)
    headings = (group.upper(), *_GROUP_HEADINGS, *(_RATES if has_rates else ()))
    cells = [
        (
            printable(str(row[group])),
            f"{row['connections']:,}",
            *(duration(row[key]) for key in ("age_seconds", "idle_seconds")),
            *(amount(row[key]) for key in ("bytes_in", "bytes_out", "queued_bytes")),
            *(_rates(row) if has_rates else ()),
        )
        for row in rows
    ]
    return _table(headings, cells, width, group=headings[0])


def _table(
    headings: Sequence[str], rows: Sequence[Sequence[str]], width: float, group: str | None = None
) -> Iterator[str]:
    columns = dict(zip(headings, zip(*rows, strict=True), strict=True)) if rows else dict.fromkeys(headings, ())
    widths = {heading: max(map(len, (heading, *cells))) for heading, cells in columns.items()}
    for heading in (each for each in _DISPENSABLE if each in columns and each != group):
        if sum(widths.values()) + len(_GAP) * (len(widths) - 1) <= width:
            break
        del widths[heading]
    shown = [
        [cell.ljust(cells) if heading in _LEFT_ALIGNED else cell.rjust(cells) for cell in (heading, *columns[heading])]
        for heading, cells in widths.items()
    ]
    for line in zip(*shown, strict=True):
        yield _GAP.join(line).rstrip()


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        *(printable(str(row[key])) for key in ("slot", "pid", "id", "service", "peer")),
        *(duration(row[key]) for key in ("age_seconds", "idle_seconds")),
        *(amount(row[key]) for key in ("bytes_in", "bytes_out", "queued_bytes")),
        row["state"],
    )


def _rates(row: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(amount(row[key]) for key in ("in_per_second", "out_per_second"))


def _tls(facts: Mapping[str, str | None] | None) -> str:
    if facts is None:
        return ""
    known = (facts["version"], facts["cipher"], facts["server_name"], facts["subject"])
    return printable(" ".join(each for each in known if each))
