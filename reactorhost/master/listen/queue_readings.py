"""What the status document has of each address: sums over its sockets, and the fullest of them.

The kernel is asked for each socket, which takes some 2 µs. Of a host with many workers and services the sockets of some
addresses are read again in a second, and what is known of the others is some seconds old.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from reactorhost.ipc.status import ListenerStatus
from reactorhost.master.listen.slot_socket import Group, Queue

_SOCKETS_A_SECOND = 128
_OLDEST_SECONDS = 20.0
"""An older value is read at once: it was not requested for long."""


@dataclass(slots=True)
class QueueReadings:
    """The readings of each address, and when they were taken."""

    _known: dict[Group, tuple[float, ListenerStatus]] = field(default_factory=dict)
    _second: int = 0
    _read: int = 0

    def of(self, groups: Sequence[Group], now: float) -> list[ListenerStatus]:
        """Return the readings of these addresses; `now` is monotonic seconds."""
        if int(now) != self._second:
            self._second, self._read = int(now), 0
        # All of them if they are few, also twice in a second.
        few = sum(len(group.order) for group in groups) <= _SOCKETS_A_SECOND
        for at, group in sorted(((self._read_at(group), group) for group in groups), key=lambda each: each[0]):
            if few or now - at >= _OLDEST_SECONDS or self._read < _SOCKETS_A_SECOND:
                self._known[group] = now, _status(group, [each.queue() for each in group.order])
                self._read += len(group.order)
        return [self._known[group][1] for group in groups]

    def _read_at(self, group: Group) -> float:
        known = self._known.get(group)
        # A socket that was opened or closed since changes the sums.
        return known[0] if known is not None and known[1]["sockets"] == len(group.order) else -_OLDEST_SECONDS


def _status(group: Group, queues: Sequence[Queue]) -> ListenerStatus:
    fullest = max(queues, key=lambda queue: queue.fill)
    return {
        "service": group.service,
        "address": str(group),
        "sockets": len(queues),
        "depth": sum_of_known(queue.depth for queue in queues),
        "limit": sum_of_known(queue.limit for queue in queues),
        "dropped": sum_of_known(queue.dropped for queue in queues),
        "fullest_slot": fullest.slot,
        "fullest_depth": fullest.depth,
        "fullest_limit": fullest.limit,
    }


def sum_of_known(values: Iterable[int | None]) -> int | None:
    """Return the sum of what is known, or None if nothing is."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None
