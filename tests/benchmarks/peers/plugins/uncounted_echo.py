"""Echo in a worker that tells nothing of itself: what statistics cost is the difference to `plain_echo.py`.

Off is what `StatsPublisher.start` would begin: the counters are not stored on the scoreboard four times a second,
processor time, memory and loop lag are not read, no hook is ever timed. On are the plain counters of messages and
bytes, which every message adds to: they are part of the transport's own code and cannot be taken out from outside.

This reaches into the host, which no plugin may do; only the benchmark does.
"""

from collections.abc import Sequence

from reactorhost import Connection, hookimpl
from reactorhost.worker.monitor.stats_publisher import StatsPublisher


def _start_nothing(self: StatsPublisher, plugins: Sequence[str]) -> None:
    """Begin no figures at all."""


StatsPublisher.start = _start_nothing  # type: ignore[method-assign]


@hookimpl
def receive(connection: Connection, data: bytes) -> None:
    """Send the bytes back."""
    connection.send(data)
