"""One direction of a relay: bytes from one connection to another, with backpressure.

The source is paused while much is queued for the target. So a pipe queues no more than `_HIGH_WATER` bytes and one
read, 512 KiB at most. The host itself would stop reading the *target* then; the two directions of a relay are
independent, so its connections are `full_duplex`.
"""

from __future__ import annotations

from reactorhost import Connection

_HIGH_WATER = 64 * 1024
# As much as the buffers of both kernels may hold already: a server that is at its end is not reset.
_MOST_LEFTOVER = 4 * 1024 * 1024
_LEFTOVER_SECONDS = 5.0


class Pipe:
    """Moves bytes from `source` to `target`."""

    __slots__ = ("_source", "_target")

    def __init__(self, source: Connection, target: Connection) -> None:
        self._source = source
        self._target = target
        target.full_duplex = True

    def write(self, data: bytes) -> None:
        """Send what the source has received."""
        target = self._target
        target.send(data)
        if target.queued > _HIGH_WATER:
            self._source.pause()
            target.when_drained(self._source.resume)


class Leftover:
    """Takes the place of a pipe from a server whose bytes are not wanted any more.

    `Connection.close` would receive and discard them at full speed for as long as `close_timeout`. An abort at once
    would destroy what the server has not read yet. So the server receives an end behind what is queued for it, and a
    reset only if it goes on sending.
    """

    __slots__ = ("_discarded", "_source")

    def __init__(self, source: Connection) -> None:
        self._source = source
        self._discarded = 0
        source.idle_timeout = min(source.idle_timeout or _LEFTOVER_SECONDS, _LEFTOVER_SECONDS)
        source.send_eof()
        source.resume()

    def write(self, data: bytes) -> None:
        """Discard what the source has received."""
        self._discarded += len(data)
        if self._discarded > _MOST_LEFTOVER and not self._source.queued:
            self._source.abort()
