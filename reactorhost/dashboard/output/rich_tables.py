"""Tables without borders: clients, plugins, settings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from reactorhost.dashboard.text.quantities import duration, size

Row = dict[str, Any]

_CONNECTION_HEADINGS = ("SLOT", "PID", "ID", "SERVICE", "PEER", "AGE", "IDLE", "IN", "OUT", "QUEUED", "STATE")
_WORDS = ("SERVICE", "PEER", "STATE")


def connection_lines(rows: Sequence[Row]) -> Iterator[str]:
    """Yield a heading and a line for each client.

    Plain text and not a table of rich, which takes seconds for a thousand rows; there may be tens of thousands.
    """
    cells = [_CONNECTION_HEADINGS, *(_connection_cells(row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        padded = (
            cell.ljust(width) if heading in _WORDS else cell.rjust(width)
            for heading, cell, width in zip(_CONNECTION_HEADINGS, line, widths, strict=True)
        )
        yield "  ".join(padded).rstrip()


def _connection_cells(row: Row) -> tuple[str, ...]:
    return (
        *(str(row[key]) for key in ("slot", "pid", "id", "service", "peer")),
        duration(row["age_seconds"]),
        duration(row["idle_seconds"]),
        size(row["bytes_in"]),
        size(row["bytes_out"]),
        size(row["queued_bytes"]),
        row["state"],
    )


def plugin_table(rows: Sequence[Row]) -> Table:
    """Return one row a plugin; why a broken one does not load stands in the last column."""
    table = _table("NAME", "VERSION", "DISTRIBUTION", "ACTIVE", "HOOKS", "ERROR")
    table.columns[-1].style = "red"
    for row in rows:
        error = (row["error"] or "").partition("\n")[0]
        _add(
            table,
            row["name"],
            row["version"] or "-",
            row["distribution"] or "-",
            "yes" if row["active"] else "-",
            ", ".join(row["hooks"]) or "-",
            error,
        )
    return table


def setting_table(rows: Iterable[Sequence[str]]) -> Table:
    """Return one row a setting."""
    table = _table("SETTING", "VALUE", "FROM")
    for row in rows:
        _add(table, *row)
    return table


def _add(table: Table, *cells: str) -> None:
    # As text: rich would read the brackets of an IPv6 address as markup.
    table.add_row(*(Text(cell) for cell in cells))


def _table(*headings: str) -> Table:
    """Make a table; a heading that ends in `>` is of a column of figures."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading.rstrip(">"), justify="right" if heading.endswith(">") else "left", overflow="fold")
    return table
