"""Echo in a worker without statistics, whose cost is the difference to `plain_echo.py`.

Counters are not stored on the scoreboard, processor time, memory and loop lag are not read, and hooks are not timed.
The plain counters of messages and bytes remain, because they are part of the transport's code.

This modifies internals of the host, which only the benchmark does.
"""

from collections.abc import Sequence

from reactorhost import Connection, hookimpl
from reactorhost.worker.monitor.service_stats import ServiceStats
from reactorhost.worker.monitor.stats_publisher import StatsPublisher


def _start_nothing(self: StatsPublisher, plugins: Sequence[str], services: Sequence[ServiceStats] = ()) -> None:
    """Start no statistics."""


StatsPublisher.start = _start_nothing  # type: ignore[method-assign]


@hookimpl
def receive(connection: Connection, data: bytes) -> None:
    """Send the bytes back."""
    connection.send(data)
