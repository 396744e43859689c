"""The memory of shared counters: a cell for each counter and each page of the scoreboard.

A worker adds to the cells of its own page only, and the value of a counter is the sum over all pages. The next worker
that has a page continues from the numbers that it finds there. So nothing is moved when a worker ends, however it ends,
and the sum never falls.

The memory is shared across fork as the scoreboard is, and there is no lock either. A page belongs to one worker at a
time, so that a cell has one writer. It is 8 bytes and aligned, and a memoryview of 64-bit integers stores an item by
one copy: a reader on a 64-bit machine sees the old or the new number, never a mixture.
"""

from __future__ import annotations

import mmap

MOST_SHARED_COUNTERS = 128
"""Shared counters of one host, those of all plugins together."""


def cells_bytes(pages: int) -> int:
    """Return the size of the memory for so many pages."""
    return (1 + pages) * MOST_SHARED_COUNTERS * 8


class SharedCells:
    """The cells in a memory of `cells_bytes`, which is zeros at first.

    Attributes:
        cells: all cells; `position` returns the index of one.
    """

    # The first row is no page's. Its first cell is the number of pages that were ever used, written by the master only:
    # a sum does not have to read the pages of workers that a host could have.
    def __init__(self, memory: mmap.mmap | memoryview) -> None:
        self.cells = memoryview(memory).cast("q")

    def use(self, page: int) -> None:
        """Count the cells of a page in sums from now on; only in the master."""
        self.cells[0] = max(self.cells[0], page + 1)

    @property
    def pages_used(self) -> int:
        """The number of pages that were ever used."""
        return self.cells[0]

    def position(self, page: int, row: int) -> int:
        """Return the index of a counter's cell on a page."""
        return (1 + page) * MOST_SHARED_COUNTERS + row

    def sum(self, row: int) -> int:
        """Return the sum of a counter over all pages."""
        end = self.position(self.pages_used, 0)
        return sum(self.cells[self.position(0, row) : end : MOST_SHARED_COUNTERS])
