"""The shared counters of a worker: each adds to a cell of its own in memory that the host shares (`ipc.shared_cells`).

The master assigns a counter its row of cells. Until the order arrives, and if the host has no row left, a counter
counts here only. A counter that `worker_start` makes has its row before the worker serves: its report is sent before
READY, and is answered before SERVE.
"""

from __future__ import annotations

import itertools
import mmap
import operator
from collections.abc import Callable, MutableSequence

from reactorhost.api.counter import VALUE_LIMIT, SharedCounter
from reactorhost.ipc.jsonlines import Message
from reactorhost.ipc.messages import Report, Values
from reactorhost.ipc.shared_cells import MOST_SHARED_COUNTERS, SharedCells, cells_bytes


class CellCounter:
    """A shared counter of this worker, as `api.counter` describes it."""

    __slots__ = ("_cells", "_own", "_position", "_sum", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        # The number of the own cell, so that `add` need not read it.
        self._own = 0
        self._cells: MutableSequence[int] | memoryview[int] = [0]
        self._position = 0
        self._sum: Callable[[], int] | None = None

    def __repr__(self) -> str:
        return f"<SharedCounter {self.name} {self.value}>"

    @property
    def value(self) -> int:
        """The sum over all workers."""
        return self._own if self._sum is None else self._sum()

    def add(self, n: int = 1) -> None:
        """Add `n`.

        Raises:
            TypeError: `n` is not a whole number.
            ValueError: `n` is negative, or the sum of this worker would reach 2**63.
        """
        if type(n) is not int:
            n = operator.index(n)
        if not 0 <= n < VALUE_LIMIT - self._own:
            raise ValueError(f"counter {self.name!r} is at {self._own} in this worker, and cannot grow by {n!r}")
        self._cells[self._position] = self._own = self._own + n

    def attach(self, cells: MutableSequence[int] | memoryview[int], position: int, total: Callable[[], int]) -> None:
        """Continue in a cell: from the number there, and what was added before."""
        # The last worker of the page counted up to that number.
        self._own = min(cells[position] + self._own, VALUE_LIMIT - 1)
        self._cells, self._position, self._sum = cells, position, total
        cells[position] = self._own

    def detach(self) -> None:
        """Count in this process only."""
        self._cells, self._position, self._sum = [self._own], 0, None


class SharedCounters:
    """The shared counters of all plugins of one worker, which has this page; `request` sends a report."""

    def __init__(self, cells: SharedCells, page: int, request: Callable[[Message], object]) -> None:
        self._cells = cells
        self._page = page
        self._request = request
        self._counters: dict[tuple[str, str], CellCounter] = {}

    def get(self, plugin: str, name: str) -> SharedCounter:
        """Return a plugin's counter of this name, the same object each time.

        Raises:
            ValueError: this worker has as many counters as a host may have.
        """
        counter = self._counters.get((plugin, name))
        if counter is None:
            if len(self._counters) >= MOST_SHARED_COUNTERS:
                limit = MOST_SHARED_COUNTERS
                raise ValueError(f"a shared counter {name!r} would exceed the limit of {limit} per host")
            counter = self._counters[plugin, name] = CellCounter(name)
            self._request({"report": Report.SHARED_COUNTER, "plugin": plugin, "name": name})
        return counter

    def assign(self, plugin: str, name: str, row: int | None) -> None:
        """Let a counter count in its row of cells; None: the host has none left, which the master has logged."""
        if row is not None:
            cells, position = self._cells.cells, self._cells.position(self._page, row)
            self._counters[plugin, name].attach(cells, position, lambda: self._cells.sum(row))

    def values(self, plugin: str) -> Values:
        """Return the values of a plugin's counters by name."""
        return {name: each.value for (owner, name), each in self._counters.items() if owner == plugin}

    def names(self, plugin: str) -> set[str]:
        """Return the names of a plugin's counters."""
        return {name for owner, name in self._counters if owner == plugin}

    def abandon(self) -> None:
        """Share nothing more, in a forked child: the worker is the only writer of its cells."""
        for counter in self._counters.values():
            counter.detach()


def counters_without_host() -> SharedCounters:
    """Return the counters of a worker that has no master."""
    rows = itertools.count()
    cells = SharedCells(mmap.mmap(-1, cells_bytes(1)))
    cells.use(0)
    counters = SharedCounters(cells, 0, lambda message: counters.assign(message["plugin"], message["name"], next(rows)))
    return counters
