"""Tables without borders: clients, plugins, settings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from reactorhost.dashboard.figures import duration, size

Row = dict[str, Any]


def connection_table(rows: Sequence[Row]) -> Table:
    """Return one row a client."""
    table = _table("SLOT>", "PID>", "ID>", "SERVICE", "PEER", "AGE>", "IDLE>", "IN>", "OUT>", "QUEUED>", "STATE")
    for row in rows:
        _add(
            table,
            *(str(row[key]) for key in ("slot", "pid", "id", "service", "peer")),
            duration(row["age_seconds"]),
            duration(row["idle_seconds"]),
            size(row["bytes_in"]),
            size(row["bytes_out"]),
            size(row["queued_bytes"]),
            row["state"],
        )
    return table


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
