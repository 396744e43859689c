"""The rows of shared counters: which cells of `ipc.shared_cells` belong to a plugin's counter.

A counter keeps its row for as long as the host runs, also when no worker has it any more: a later version of the plugin
may have it again, and continues.
"""

from __future__ import annotations

from collections.abc import Mapping

from reactorhost.ipc.jsonlines import Message
from reactorhost.ipc.messages import Order, Values
from reactorhost.ipc.shared_cells import MOST_SHARED_COUNTERS
from reactorhost.logs import EventLog
from reactorhost.master.workers.pool import WorkerPool
from reactorhost.system.rate_limit import RateLimit

_SECONDS_BETWEEN_LINES = 60.0


class SharedCounterRows:
    """Assigns rows to counters in the order of their requests."""

    def __init__(self, pool: WorkerPool, log: EventLog) -> None:
        self._pool = pool
        self._cells = pool.scoreboard.shared_cells
        self._log = log
        self._rows: dict[tuple[str, str], int] = {}
        self._lines = RateLimit(1, _SECONDS_BETWEEN_LINES)

    def export(self) -> dict[tuple[str, str], int]:
        """Return the row of each plugin and name, for another program."""
        return dict(self._rows)

    def restore(self, rows: Mapping[tuple[str, str], int]) -> None:
        """Continue with the rows of another program."""
        self._rows = dict(rows)

    def requested(self, pid: int, message: Message) -> None:
        """Order a worker to use the row of a counter."""
        plugin, name = message["plugin"], message["name"]
        row = self._rows.get((plugin, name))
        if row is None and len(self._rows) < MOST_SHARED_COUNTERS:
            row = self._rows[plugin, name] = len(self._rows)
        if row is None and self._lines.admits(self._pool.reactor.now):
            self._log.warning(
                "shared_counter_refused",
                plugin=plugin,
                counter=name,
                limit=MOST_SHARED_COUNTERS,
                suppressed=self._lines.take_suppressed(),
                hint="each worker counts it alone; do not make names from what clients send",
            )
        self._pool.order(pid, {"order": Order.SHARED_COUNTER, "plugin": plugin, "name": name, "row": row})

    def of(self, plugin: str) -> Values:
        """Return the values of a plugin's counters by name."""
        return {name: self._cells.sum(row) for (owner, name), row in self._rows.items() if owner == plugin}
