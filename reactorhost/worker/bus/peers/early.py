"""What a worker sends before it knows the other workers: the first use of the bus is what has it introduced."""

from __future__ import annotations

from reactorhost.bus.frames import MOST_GAP_KEYS
from reactorhost.worker.bus.peers.outgoing import Outgoing


class EarlyMessages:
    """Messages for all workers that the master introduces until it has introduced all.

    They are bounded as what waits for one peer is. What is dropped is reported to each peer as a gap.
    """

    def __init__(self, max_queue: int) -> None:
        self._max_queue = max_queue
        self._size = 0
        self._messages: list[tuple[str, int, bytes]] = []
        # By key, the number of the first message that was dropped.
        self._lost: dict[str, int] = {}

    @property
    def waiting(self) -> int:
        """How many messages it has."""
        return len(self._messages)

    def message(self, key: str, number: int, frame: bytes) -> bool:
        """Keep a message; returns False if it was dropped."""
        size = self._size + len(frame)
        # After the first one all are dropped, as in `Outgoing`: none may overtake the report of the gap.
        if self._lost or (size > self._max_queue and self._size):
            # With one key more than a gap may name the gap is of unknown keys.
            if len(self._lost) <= MOST_GAP_KEYS:
                self._lost.setdefault(key, number)
            return False
        self._messages.append((key, number, frame))
        self._size = size
        return True

    def queue_messages(self, outgoing: Outgoing) -> None:
        """Queue for a peer what was published before it was introduced."""
        for message in self._messages:
            outgoing.message(*message)
        for key, number in self._lost.items():
            outgoing.lose(key, number)

    def clear(self) -> None:
        """Keep nothing any more."""
        self._messages.clear()
        self._lost.clear()
