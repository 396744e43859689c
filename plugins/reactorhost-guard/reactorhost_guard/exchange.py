"""The tokens that a worker has granted, as messages to the other workers, so that a rate is one of the host.

Only what matters is sent: a worker keeps what is less than a quarter of a burst divided by the workers for later. So
what the others have not counted is at most a quarter of a burst, and what was granted since the last message.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from reactorhost_guard.meters import Meter
from reactorhost_guard.usage import Usage, UsageTable

_VERSION = 1
_HEADER = struct.Struct("!B8s")
_ENTRY = struct.Struct("!B17sd")
_KEY_BYTES = 17
_ENTRIES = 1000
"""In one message: 26 kB, far below the least `max_message` of a bus."""
_METERS = ("connects", "messages", "bytes", "strikes")
_UNKNOWN_SHARE = 0.25

ORIGIN_BYTES = 8


class Exchange:
    """The counts of one worker, with a random `origin` of `ORIGIN_BYTES`, for the tables of addresses and networks."""

    def __init__(self, origin: bytes, *tables: UsageTable) -> None:
        self._origin = origin
        self._tables = tables

    def messages(self, workers: int) -> Iterator[bytes]:
        """Yield messages with what was granted and not sent yet, on a host with so many workers."""
        header = _HEADER.pack(_VERSION, self._origin)
        entries: list[bytes] = []
        for table_number, table in enumerate(self._tables):
            for usage in table.take_touched():
                for number, meter in _meters(usage):
                    if meter.unshared >= max(1.0, meter.limit.burst * _UNKNOWN_SHARE / workers):
                        kind = table_number * len(_METERS) + number
                        entries.append(_ENTRY.pack(kind, usage.key.to_bytes(_KEY_BYTES), meter.unshared))
                        meter.unshared = 0
        for first in range(0, len(entries), _ENTRIES):
            yield header + b"".join(entries[first : first + _ENTRIES])

    def apply(self, data: bytes, now: float) -> None:
        """Take what another worker has granted; its own messages, and those of another version, are ignored.

        `now` is in seconds, by the clock of the worker.
        """
        version, origin = _HEADER.unpack_from(data)
        if version != _VERSION or origin == self._origin:
            return
        for kind, key, tokens in _ENTRY.iter_unpack(memoryview(data)[_HEADER.size :]):
            number, name = divmod(kind, len(_METERS))
            table = self._tables[number]
            meter = table.find(int.from_bytes(key)).meter(_METERS[name], table.limits)
            # During a reload that changes the options, the other worker may have a limit that this one has not.
            if meter is not None:
                meter.take_elsewhere(tokens, now)


def _meters(usage: Usage) -> Iterable[tuple[int, Meter]]:
    for number, name in enumerate(_METERS):
        meter: Meter | None = getattr(usage, name)
        if meter is not None:
            yield number, meter
