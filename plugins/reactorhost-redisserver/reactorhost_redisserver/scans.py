"""SCAN: a cursor is a place in the list of the keys as they were when the SCAN began.

So a key that is there from the beginning of a SCAN to its end is returned once. Few lists are kept: the oldest one is
dropped, and its SCAN begins anew with the keys of now, which may return a key again, as Redis may too.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

MOST_SCANS = 16
_NUMBER_BITS = 32


@dataclass(slots=True)
class _Scan:
    names: list[bytes]
    owner: object


class Scans:
    """The SCANs that are not complete."""

    def __init__(self) -> None:
        self._scans: dict[int, _Scan] = {}
        self._numbers = itertools.count(1)

    def next(
        self, cursor: int, count: int, owner: object, list_names: Callable[[], list[bytes]]
    ) -> tuple[int, list[bytes]]:
        """Return the next cursor, 0 at the end, and up to `count` names of an owner, such as a database."""
        number, at = divmod(cursor, 1 << _NUMBER_BITS)
        scan = self._scans.pop(number, None)
        if scan is None or scan.owner is not owner:
            number, at, scan = next(self._numbers), 0, _Scan(list_names(), owner)
        found = scan.names[at : at + count]
        if at + count >= len(scan.names):
            return 0, found
        # Behind the others: what was used last is dropped last.
        self._scans[number] = scan
        if len(self._scans) > MOST_SCANS:
            del self._scans[next(iter(self._scans))]
        return (number << _NUMBER_BITS) + at + count, found
