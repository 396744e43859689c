"""The columns of the worker table: content, width, and the order in which they are dropped on a narrow screen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from reactorhost.dashboard.model.worker_trends import MOST_SAMPLES
from reactorhost.dashboard.text.quantities import amount, number, rate, span, uptime, whole
from reactorhost.errors import UsageError, did_you_mean

LEAST_TREND = 16

Values = Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the worker table.

    Attributes:
        show: formats a value.
        rank: the column of the highest rank is dropped first, one of rank 0 never; None: not a default one.
        largest_first: the direction of sorting.
        warn: the value from which on it is shown as a warning.
        alarm: the value from which on it is shown as an alarm.
        left: whether it is aligned to the left.
        bus: whether it is left out of the default columns while the bus is not used.
        key: the key that sorts by it at once.
        wide: the order in which it is added on a wide screen; 0: it is not added.
    """

    name: str
    heading: str
    width: int
    show: Callable[[float | None], str]
    rank: int | None
    largest_first: bool = True
    warn: float | None = None
    alarm: float | None = None
    left: bool = False
    bus: bool = False
    key: str = ""
    wide: int = 0


ALL: tuple[Column, ...] = (
    Column("pid", "PID", 10, whole, 0, largest_first=False, left=True),
    Column("slot", "SLOT", 4, whole, 13, largest_first=False, key="N"),
    Column("gen", "GEN", 3, whole, 14, largest_first=False),
    Column("state", "STATE", 8, whole, 1, largest_first=False, left=True, key="S"),
    Column("up", "UP", 6, uptime, 7, largest_first=False, key="U"),
    Column("clients", "CLIENTS", 7, number, 2, key="C"),
    Column("acc", "ACC/s", 5, rate, 15),
    Column("refused", "REF/s", 5, rate, None, warn=1, wide=6),
    Column("rx", "RX/s", 5, amount, 10),
    Column("tx", "TX/s", 5, amount, 11),
    Column("msg", "MSG/s", 5, rate, 3, key="A"),
    Column("bus", "BUS/s", 5, rate, 8, bus=True),
    Column("dropped", "DROP/s", 6, rate, None, warn=0.05),
    Column("errors", "ERR/s", 5, rate, None, warn=0.05, alarm=10, key="E", wide=1),
    Column("p50", "P50", 5, span, 16),
    Column("p99", "P99", 5, span, 5, key="T"),
    Column("p999", "P99.9", 5, span, None, wide=2),
    Column("max", "MAX", 5, span, None, wide=3),
    Column("lag", "LAG", 5, span, 9, warn=0.1, alarm=1.0, key="L"),
    Column("cpu", "CPU%", 4, whole, 4, warn=90, key="P"),
    Column("busy", "BUSY%", 5, whole, None, warn=90, wide=4),
    Column("rss", "RSS", 5, amount, 6, key="M"),
    Column("pss", "PSS", 5, amount, None, wide=5),
    Column("restarts", "RST", 3, whole, 12),
)

BY_NAME: Mapping[str, Column] = {column.name: column for column in ALL}


def columns_named(names: Sequence[str], *, bus: bool = False) -> tuple[Column, ...]:
    """Return the columns of these names, the process id first; without names the default ones.

    `bus` is whether the bus is used.

    Raises:
        UsageError: there is no such column.
    """
    if names:
        return tuple(column_named(name) for name in dict.fromkeys(("pid", *names)))
    return tuple(column for column in ALL if column.rank is not None and (bus or not column.bus))


def column_named(name: str) -> Column:
    """Return the column of this name.

    Raises:
        UsageError: there is no such column.
    """
    if name not in BY_NAME:
        hint = did_you_mean(name, BY_NAME) or f"columns: {', '.join(BY_NAME)}"
        raise UsageError(f"there is no column {name!r}", hint=hint)
    return BY_NAME[name]


def fitting(columns: Sequence[Column], width: int) -> tuple[tuple[Column, ...], int]:
    """Return the columns that fit into a width, and the gap between them (1 to 3 cells)."""
    kept = list(columns)
    while len(kept) > 1 and _width_of(kept, 1) > width:
        kept.remove(max(kept, key=lambda column: 99 if column.rank is None else column.rank))
    gap = next((gap for gap in (3, 2) if _width_of(kept, gap) <= width), 1)
    return tuple(kept), gap


def widened(columns: Sequence[Column], width: int) -> tuple[Column, ...]:
    """Return the default columns, and as many of the others as leave gaps of two cells and a trend."""
    shown = set(columns)
    for column in sorted((each for each in ALL if each.wide), key=lambda each: each.wide):
        if _width_of([*shown, column], 2) + 2 + LEAST_TREND <= width:
            shown.add(column)
    return tuple(column for column in ALL if column in shown)


def trend_width(columns: Sequence[Column], gap: int, width: int) -> int:
    """Return how many cells are left for a trend behind the columns; 0 if they are too few for one."""
    left = width - _width_of(columns, gap) - gap
    return min(left, MOST_SAMPLES) if left >= LEAST_TREND else 0


def _width_of(columns: Sequence[Column], gap: int) -> int:
    return sum(column.width for column in columns) + gap * (len(columns) - 1)
