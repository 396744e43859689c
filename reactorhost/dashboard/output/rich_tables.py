"""The tables of hosts, plugins and settings, folded by rich to the width of the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from reactorhost.dashboard.text.quantities import UNKNOWN, number, uptime
from reactorhost.dashboard.text.styles import FAULT
from reactorhost.ipc.host_row import HostRow
from reactorhost.printable import printable


def plugin_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return a table with a row for each plugin; the last column shows why a plugin does not load."""
    table = _table("NAME", "VERSION", "DISTRIBUTION", "ACTIVE", "HOOKS", "ERROR")
    table.columns[-1].style = FAULT
    for row in rows:
        package = [row["version"] or "-", row["distribution"] or "-"]
        state = ["yes" if row["active"] else "-", ", ".join(row["hooks"]) or "-"]
        _add(table, row["name"], *package, *state, (row["error"] or "").partition("\n")[0])
    return table


def bus_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return a table with a row for each backend of the bus."""
    table = _table("BUS", "VERSION", "DISTRIBUTION", "ERROR")
    table.columns[-1].style = FAULT
    for row in rows:
        error = (row["error"] or "").partition("\n")[0]
        _add(table, f"{row['scheme']}://", row["version"] or "-", row["distribution"] or "-", error)
    return table


def host_table(rows: Iterable[HostRow]) -> Table:
    """Return a table with a row for each host."""
    table = _table("NAME", "PID", "USER", "STATE", "WORKERS", "CLIENTS", "UPTIME", "VERSION", "RUN DIRECTORY")
    # Only names and paths are long.
    for column in table.columns[1:-1]:
        column.no_wrap = True
    for row in rows:
        workers = UNKNOWN if row["workers_ready"] is None else f"{row['workers_ready']}/{row['workers_wanted']}"
        _add(
            table,
            row["name"] or UNKNOWN,
            str(row["pid"]),
            row["user"],
            row["state"] or "no answer",
            workers,
            number(row["connections"]),
            uptime(row["uptime_seconds"]),
            row["version"] or UNKNOWN,
            row["run_dir"],
        )
    return table


def setting_table(rows: Iterable[Sequence[str]]) -> Table:
    """Return a table with a row for each setting."""
    table = _table("SETTING", "VALUE", "FROM")
    for row in rows:
        _add(table, *row)
    return table


def change_table(rows: Iterable[Sequence[str]]) -> Table:
    """Return a table with a row for each setting that has another value now."""
    table = _table("SETTING", "VALUE", "FROM", "APPLIED BY")
    for row in rows:
        _add(table, *row)
    return table


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def _add(table: Table, *cells: str) -> None:
    # As Text: in a string, rich would parse the brackets of an IPv6 address as markup.
    table.add_row(*(Text(printable(cell)) for cell in cells))
