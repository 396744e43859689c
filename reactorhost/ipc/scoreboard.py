"""The scoreboard: one page of shared memory for each worker, written by the worker and read by the master.

The memory is shared across fork, so that a page outlives its worker: the totals of a worker that crashed are still
there. A worker writes a page a few times a second, from its loop; there is one writer, and no lock.

Every field is 8 bytes and aligned, and a page is written by one copy from packed bytes. So a reader on a 64-bit machine
sees the old or the new value of a field, never a mixture. `struct.pack_into` would not do: it fills its target with
zeros first, which a reader could see. Different fields may be of different moments: a page is a set of gauges, not a
transaction.

An upgrade of the master passes the memory on, and the workers of before keep writing to it. A version with other fields
finds those of the older pages by their names (`Layout`), and has pages of its own for the workers that it starts.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter

from reactorhost.histogram import BUCKETS
from reactorhost.ipc.address_sketch import AddressSketch, SketchState
from reactorhost.ipc.counters import Counters, Timings
from reactorhost.ipc.line_parts import close_all
from reactorhost.ipc.service_pages import LANES, ServicePages, ServicePagesState
from reactorhost.ipc.shared_cells import SharedCells, cells_bytes
from reactorhost.ipc.stall import STALL_BYTES, Stall, read_stall, write_stall
from reactorhost.system.shared_memory import SharedMemory

PAGE_BYTES = 16384
MOST_PLUGINS = 14
"""How many plugins of a worker have timings of their own; later ones are counted in the worker's only."""

_FORMATS = {each.name: "d" if each.type == "float" else "q" for each in fields(Counters)}
_COUNTERS = struct.Struct("".join(_FORMATS.values()))
# Not `dataclasses.astuple`, which copies every value deeply: this takes a third of its time.
_values = attrgetter(*(each.name for each in fields(Counters)))
_TIMINGS_FIELDS = tuple(each.name for each in fields(Timings) if each.name != "receive")
_timings = attrgetter(*_TIMINGS_FIELDS)
_TIMINGS = struct.Struct(f"{len(_TIMINGS_FIELDS) + BUCKETS}q")
# Rounded up to 8 bytes, so that the fields behind the counters are aligned too.
_TIMINGS_AT = -(-_COUNTERS.size // 8) * 8

# The last field of a page: zeros until the worker uses the bus.
_BUS_ID_BYTES = 8
_BUS_ID_AT = PAGE_BYTES - _BUS_ID_BYTES
_STALL_AT = _BUS_ID_AT - STALL_BYTES

assert _TIMINGS_AT + (1 + MOST_PLUGINS) * _TIMINGS.size <= _STALL_AT


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the fields of a page are; `timings` are the fields in front of the buckets.

    A field that an earlier version does not have is 0 by default: that is what its layout is decoded with.
    """

    page_bytes: int = PAGE_BYTES
    counters: tuple[tuple[str, str], ...] = tuple(_FORMATS.items())
    timings: tuple[str, ...] = _TIMINGS_FIELDS
    timings_at: int = _TIMINGS_AT
    buckets: int = BUCKETS
    most_plugins: int = MOST_PLUGINS
    stall_at: int = 0


LAYOUT = Layout(stall_at=_STALL_AT)
"""Of the pages of this version."""


@dataclass(frozen=True, slots=True)
class PagesState:
    """Pages of one layout, and those of them that workers use."""

    descriptor: int
    layout: Layout
    used: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ScoreboardState:
    """A scoreboard, for the program that this process executes; the first pages are those for new workers."""

    capacity: int
    cells_descriptor: int
    pages: tuple[PagesState, ...]
    addresses: SketchState | None = None
    services: tuple[ServicePagesState, ...] = ()

    def descriptors(self) -> Iterator[int]:
        """Yield the descriptor of every memory."""
        yield self.cells_descriptor
        yield from (each.descriptor for each in self.pages)
        yield from (each.descriptor for each in self.services)
        if self.addresses is not None:
            yield self.addresses.descriptor


class EarlierPages:
    """Pages that the workers of an earlier version write; fields that this version does not have are left out."""

    def __init__(self, state: PagesState, capacity: int) -> None:
        self.layout = state.layout
        self.used = set(state.used)
        self.memory = SharedMemory("", capacity * state.layout.page_bytes, state.descriptor)
        self._counters = struct.Struct("".join(kind for _, kind in state.layout.counters))
        self._timings = struct.Struct(f"{len(state.layout.timings) + state.layout.buckets}q")

    def export(self) -> PagesState:
        """Return the state of these pages."""
        return PagesState(self.memory.export(), self.layout, tuple(sorted(self.used)))

    def read(self, page: int) -> Counters:
        """See `Scoreboard`."""
        values = self._counters.unpack_from(self.memory.memory, page * self.layout.page_bytes)
        named = zip(self.layout.counters, values, strict=True)
        return Counters(**{name: value for (name, _), value in named if name in _FORMATS})

    def read_stall(self, page: int) -> Stall | None:
        """See `Scoreboard`; None if the version does not store it."""
        at = self.layout.stall_at
        return read_stall(self.memory.memory, page * self.layout.page_bytes + at) if at else None

    def read_timings(self, page: int, plugins: int) -> list[Timings]:
        """See `Scoreboard`; a histogram with other buckets counts as empty."""
        found: list[Timings] = []
        for position in range(1 + min(plugins, self.layout.most_plugins)):
            at = page * self.layout.page_bytes + self.layout.timings_at + position * self._timings.size
            values = self._timings.unpack_from(self.memory.memory, at)
            named = zip(self.layout.timings, values, strict=False)
            timings = Timings(**{name: value for name, value in named if name in _TIMINGS_FIELDS})
            if self.layout.buckets == BUCKETS:
                timings.receive = list(values[len(self.layout.timings) :])
            else:
                timings.calls = 0
            found.append(timings)
        return found


class Scoreboard:
    """Pages for at most `capacity` workers at the same time, which have this number of services; `state` continues.

    Attributes:
        shared_cells: the cells of shared counters, some for each page.
        services: the records of the services of new workers.
    """

    def __init__(self, capacity: int, state: ScoreboardState | None = None, *, services: int = 1) -> None:
        self._capacity = capacity if state is None else state.capacity
        earlier = () if state is None else state.pages
        current = earlier[0] if earlier and earlier[0].layout == LAYOUT else None
        size = self._capacity * PAGE_BYTES
        self._pages = SharedMemory("scoreboard", size, None if current is None else current.descriptor)
        self._memory = self._pages.memory
        self._earlier = [EarlierPages(each, self._capacity) for each in earlier if each is not current]
        used = {page for each in earlier for page in each.used}
        self._free = [page for page in range(self._capacity - 1, -1, -1) if page not in used]
        cells = None if state is None else state.cells_descriptor
        self._cells = SharedMemory("shared-cells", cells_bytes(self._capacity), cells)
        self.shared_cells = SharedCells(self._cells.memory)
        self._all_services = [] if state is None else [ServicePages(self._capacity, 0, each) for each in state.services]
        found = (each for each in self._all_services if (each.services, each.lanes) == (services, LANES))
        self.services = next(found, None) or ServicePages(self._capacity, services)
        if self.services not in self._all_services:
            self._all_services.append(self.services)
        addresses = None if state is None else state.addresses
        self._unused: list[int] = []
        self._address_sketch: AddressSketch | None = None
        if addresses is not None and addresses.continues:
            self._address_sketch = AddressSketch(self._capacity, addresses.descriptor)
        elif addresses is not None:
            # The connections of before count no more; those of new workers do.
            self._unused.append(addresses.descriptor)

    def export(self) -> ScoreboardState:
        """Return the state, for the program that this process executes.

        Raises:
            ReactorhostError: the memory has no file.
        """
        earlier = [each.export() for each in self._earlier]
        unused = {*self._free, *(page for each in earlier for page in each.used)}
        used = tuple(page for page in range(self._capacity) if page not in unused)
        current = PagesState(self._pages.export(), LAYOUT, used)
        addresses = None if self._address_sketch is None else self._address_sketch.export()
        services = tuple(each.export() for each in self._all_services)
        return ScoreboardState(self._capacity, self._cells.export(), (current, *earlier), addresses, services)

    def close_unused(self) -> None:
        """Close what this version has no use for, when it cannot return to the one of before any more."""
        close_all(self._unused)
        self._unused.clear()
        for services in list(self._all_services):
            self._close_if_unused(services)

    def close_descriptors(self) -> None:
        """Close the files of the memory, which stays mapped; called in forked workers."""
        for each in (self._pages, self._cells, *(earlier.memory for earlier in self._earlier)):
            each.close()
        for services in self._all_services:
            services.close()
        if self._address_sketch is not None:
            self._address_sketch.close_descriptor()

    def take_page(self) -> int:
        """Return the number of an unused page, filled with zeros; its cells of shared counters keep their values.

        Raises:
            IndexError: all pages are in use.
        """
        page = self._free.pop()
        # Before the fork: the master must not read the totals of an earlier worker as those of the new one.
        self._memory[page * PAGE_BYTES : (page + 1) * PAGE_BYTES] = bytes(PAGE_BYTES)
        self.shared_cells.use(page)
        self.services.use(page)
        if self._address_sketch is not None:
            self._address_sketch.use(page)
        return page

    def address_sketch(self) -> AddressSketch:
        """Return the counts of connections by address.

        They are made at the first call: the master calls this before it forks the first worker that needs them.
        """
        if self._address_sketch is None:
            self._address_sketch = AddressSketch(self._capacity)
        return self._address_sketch

    def give_back(self, page: int) -> None:
        """Mark the page of a worker that has ended as unused."""
        for services in [each for each in self._all_services if page in each.used]:
            services.give_back(page)
            self._close_if_unused(services)
        earlier = self._earlier_of(page)
        if earlier is None:
            self.write_bus_id(page, bytes(_BUS_ID_BYTES))
        else:
            earlier.used.discard(page)
            if not earlier.used:
                self._earlier.remove(earlier)
                earlier.memory.close()
        if self._address_sketch is not None:
            self._address_sketch.clear(page)
        self._free.append(page)

    def write(self, page: int, counters: Counters) -> None:
        """Store a worker's counters on its page."""
        self._store(page * PAGE_BYTES, _COUNTERS.pack(*_values(counters)))

    def read(self, page: int) -> Counters:
        """Return the counters that the page's worker wrote last."""
        earlier = self._earlier_of(page)
        if earlier is not None:
            return earlier.read(page)
        return Counters(*_COUNTERS.unpack_from(self._memory, page * PAGE_BYTES))

    def write_timings(self, page: int, timings: Sequence[Timings]) -> None:
        """Store the worker's timings, then those of its plugins."""
        for position, each in enumerate(timings[: 1 + MOST_PLUGINS]):
            at = page * PAGE_BYTES + _TIMINGS_AT + position * _TIMINGS.size
            packed = _TIMINGS.pack(*_timings(each), *each.receive)
            self._store(at, packed)

    def read_timings(self, page: int, plugins: int) -> list[Timings]:
        """Return the worker's timings and those of its first `plugins` plugins."""
        earlier = self._earlier_of(page)
        if earlier is not None:
            return earlier.read_timings(page, plugins)
        found: list[Timings] = []
        for position in range(1 + min(plugins, MOST_PLUGINS)):
            at = page * PAGE_BYTES + _TIMINGS_AT + position * _TIMINGS.size
            calls, nanoseconds, errors, receive_nanoseconds, waits, *receive = _TIMINGS.unpack_from(self._memory, at)
            found.append(Timings(calls, nanoseconds, errors, receive_nanoseconds, waits, receive))
        return found

    def services_of(self, page: int) -> ServicePages | None:
        """Return the pages in which the page's worker stores the records of its services; None if it stores none."""
        return next((each for each in self._all_services if page in each.used), None)

    def write_stall(self, page: int, stall: Stall | None) -> None:
        """Store what blocks the worker's loop, or None while it turns."""
        write_stall(self._memory, page * PAGE_BYTES + _STALL_AT, stall)

    def read_stall(self, page: int) -> Stall | None:
        """Return what blocks the worker's loop, or None."""
        earlier = self._earlier_of(page)
        return read_stall(self._memory, page * PAGE_BYTES + _STALL_AT) if earlier is None else earlier.read_stall(page)

    def _close_if_unused(self, services: ServicePages) -> None:
        if not services.used and services is not self.services:
            self._all_services.remove(services)
            services.close()

    def write_bus_id(self, page: int, bus_id: bytes) -> None:
        """Store the id by which the worker is known on the bus."""
        self._store(page * PAGE_BYTES + _BUS_ID_AT, bus_id)

    def has_bus_id(self, bus_id: bytes) -> bool:
        """Return whether a worker that has not ended has this id; any worker may read it."""
        ends = (page * PAGE_BYTES for page in range(1, 1 + self.shared_cells.pages_used))
        return any(bus_id) and any(self._memory[end - _BUS_ID_BYTES : end] == bus_id for end in ends)

    def _earlier_of(self, page: int) -> EarlierPages | None:
        # Several times for each worker and document, and hardly ever is there one.
        return next((each for each in self._earlier if page in each.used), None) if self._earlier else None

    def _store(self, at: int, packed: bytes) -> None:
        self._memory[at : at + len(packed)] = packed
