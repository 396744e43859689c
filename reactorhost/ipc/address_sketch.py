"""How many connections each client address has, over all workers: a count-min sketch in shared memory.

An address has a cell in each row, found by a salted hash, and a connection adds 1 to each of these cells. Addresses
share cells, so the least of the cells is the number of connections or more, never less. Each worker has rows of its
own, so that a cell has one writer and no lock, and a reader adds up the same cell of all workers. Without the salt a
client could choose addresses whose cells are those of another one.

How much too high a number is depends on how many connections all other addresses have, whatever their addresses are:
with 100,000 of them, 1 in 6 addresses seems to have a connection more than it has, 1 in 170 two more, 1 in 10,000 three
more. A million adds about five to most addresses.

A cell is 4 bytes and aligned, so a reader sees its old or its new number, as with the scoreboard. Memory is used for
the cells that were written: 1.5 MiB for a worker with many clients.
"""

from __future__ import annotations

import mmap
import os
from dataclasses import dataclass
from functools import partial

from reactorhost.system.shared_memory import SharedMemory

_ROWS = 3
_COLUMN_BITS = 17
_COLUMNS = 1 << _COLUMN_BITS
_PAGE_CELLS = _ROWS * _COLUMNS
_PAGE_BYTES = 4 * _PAGE_CELLS
_HASH_BYTES = -(-_ROWS * _COLUMN_BITS // 8)
# In front of the cells: the number of pages that were ever used, and the salt.
_HEADER_BYTES = mmap.PAGESIZE
_SALT_AT = 16


@dataclass(frozen=True, slots=True)
class SketchState:
    """A sketch, for the program that this process executes."""

    descriptor: int
    rows: int = _ROWS
    column_bits: int = _COLUMN_BITS

    @property
    def continues(self) -> bool:
        """Whether this version has cells in the same places."""
        return (self.rows, self.column_bits) == (_ROWS, _COLUMN_BITS)


class AddressSketch:
    """The cells of at most `pages` workers at the same time; a worker has those of its page of the scoreboard.

    The memory is zeros at first, or that of `descriptor`.
    """

    def __init__(self, pages: int, descriptor: int | None = None) -> None:
        # Here: the module loads OpenSSL, and most hosts have no use for it.
        from hashlib import blake2b

        # A file in memory takes memory as it is written; an anonymous mapping may be charged as a whole.
        self._shared = SharedMemory("addresses", _HEADER_BYTES + pages * _PAGE_BYTES, descriptor)
        memory = self._shared.memory
        salt = slice(_SALT_AT, _SALT_AT + blake2b.SALT_SIZE)
        if descriptor is None:
            memory[salt] = os.urandom(blake2b.SALT_SIZE)
        self._hash = partial(blake2b, digest_size=_HASH_BYTES, salt=bytes(memory[salt]))
        self._used = memory[:4].cast("I")
        self._cells = memory[_HEADER_BYTES:].cast("I")

    def export(self) -> SketchState:
        """Return the state, for the program that this process executes."""
        return SketchState(self._shared.export())

    def close_descriptor(self) -> None:
        """Close the file of the memory, which stays mapped; called in forked workers."""
        self._shared.close()

    def use(self, page: int) -> None:
        """Count the cells of a page from now on; only in the master."""
        self._used[0] = max(self._used[0], page + 1)

    def clear(self, page: int) -> None:
        """Set the cells of a page to zero, and release their memory; its worker has ended."""
        self._shared.discard(_HEADER_BYTES + page * _PAGE_BYTES, _PAGE_BYTES)

    def places(self, key: bytes) -> list[int]:
        """Return the places of a key's cells in the rows of a worker."""
        bits = int.from_bytes(self._hash(key).digest())
        return [row * _COLUMNS + (bits >> row * _COLUMN_BITS) % _COLUMNS for row in range(_ROWS)]

    def add(self, page: int, places: list[int], number: int) -> None:
        """Add a number, 1 or -1, to the cells at these places; only in the worker of the page."""
        start = page * _PAGE_CELLS
        for place in places:
            self._cells[start + place] += number

    def others(self, page: int, places: list[int]) -> int:
        """Return how many connections the key of these places has at most in the workers of other pages."""
        cells, start, end = self._cells, page * _PAGE_CELLS, self._used[0] * _PAGE_CELLS
        return min(sum(cells[place:end:_PAGE_CELLS]) - cells[start + place] for place in places)
