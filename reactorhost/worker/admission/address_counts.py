"""How many connections each client address has: in this worker exactly, in the others as their sketches say.

A new connection is counted before the sum is read. So of two workers that accept the last two connections of an address
at the same moment each sees the other's: both may be refused, but never are both admitted.
"""

from __future__ import annotations

from reactorhost.ipc.address_sketch import AddressSketch


class AddressCounts:
    """The open connections of this worker, by a key of service and address; `page` is the worker's in the sketch."""

    def __init__(self, sketch: AddressSketch, page: int) -> None:
        self._sketch = sketch
        self._page = page
        self._own: dict[bytes, int] = {}

    def begin(self, key: bytes, most: int) -> bool:
        """Count a connection, unless its address has `most` already; returns whether it is counted."""
        own = self._own.get(key, 0) + 1
        # Without a hash: it is what a client that connects again and again costs.
        if own > most:
            return False
        places = self._sketch.places(key)
        self._sketch.add(self._page, places, 1)
        if own + self._sketch.others(self._page, places) > most:
            self._sketch.add(self._page, places, -1)
            return False
        self._own[key] = own
        return True

    def end(self, key: bytes) -> None:
        """Remove a connection that was counted."""
        left = self._own[key] - 1
        if left:
            self._own[key] = left
        else:
            del self._own[key]
        self._sketch.add(self._page, self._sketch.places(key), -1)


def counts_without_host() -> AddressCounts:
    """Return the counts of a worker without a master."""
    sketch = AddressSketch(1)
    sketch.use(0)
    return AddressCounts(sketch, 0)
