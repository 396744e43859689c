"""Which columns of the worker table are shown at a width, how wide they are, and whether a trend is behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from reactorhost.dashboard.model.snapshot import Snapshot
from reactorhost.dashboard.model.view import View
from reactorhost.dashboard.tables.columns import Column, columns_named, fitting, trend_width, widened
from reactorhost.dashboard.tables.rows import Row, uses_bus
from reactorhost.ipc.status import StatusDocument

GUIDE_WIDTH = 3
_LEAST_PID = 6
_LEAST_STATE = 8
_MOST_STATE = 14
_CUT_STATE = 4


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns that fit into a width, and the gap between them.

    Attributes:
        trend: the cells of the trend behind the columns; 0 for none.
        tree: whether the process ids are drawn as a tree.
    """

    columns: tuple[Column, ...]
    gap: int
    width: int
    trend: int = 0
    tree: bool = True

    @property
    def used(self) -> int:
        """The cells of the columns and the gaps between them."""
        return sum(column.width for column in self.columns) + self.gap * (len(self.columns) - 1)

    @property
    def state_width(self) -> int:
        """The width of the state; 0 if it is not shown."""
        return next((column.width for column in self.columns if column.name == "state"), 0)

    def start_of_state(self) -> int:
        """Return where the state begins, or the process id behind the tree if the state is not shown."""
        at = 0
        for column in self.columns:
            if column.name == "state":
                return at
            at += column.width + self.gap
        return GUIDE_WIDTH


def shown_columns(document: StatusDocument, view: View, width: int) -> tuple[Column, ...]:
    """Return the columns of a view: those that were chosen, or the default ones and more on a wide screen."""
    columns = columns_named(view.columns, bus=uses_bus(document))
    return columns if view.columns else widened(columns, width)


def layout_of(snapshot: Snapshot, view: View, rows: Sequence[Row], width: int) -> Layout:
    """Return the layout for these rows: process ids and states are shown in full."""
    columns = shown_columns(snapshot.body, view, width)
    pid = max((len(str(row.pid or "")) for row in rows), default=0)
    state = max(min(max((len(row.state) for row in rows), default=0), _MOST_STATE), _LEAST_STATE)
    guide, tree = GUIDE_WIDTH if view.tree else 0, view.tree
    if not view.columns and max(pid + guide, _LEAST_PID) + 1 + state > width:
        # The state says what is wrong: it stays when the tree has no room, and then it is cut.
        guide, tree = 0, False
        state = max(min(state, width - max(pid, _LEAST_PID) - 1), _CUT_STATE)
    sized = {"pid": max(pid + guide, _LEAST_PID), "state": state}
    columns = tuple(replace(each, width=sized.get(each.name, each.width)) for each in columns)
    # With the least gap that is good to read: what is left is worth more as a trend than as space.
    if snapshot.worker_trends.samples and (trend := trend_width(columns, 2, width)):
        return Layout(columns, 2, width, trend, tree=tree)
    return Layout(*fitting(columns, width), width, tree=tree)
