"""What each service of each worker has counted: shared memory beside the scoreboard, with a record for each service.

A record is a row of lanes, 8 bytes each, and none of them is negative: first what is counted, then what is timed. The
master adds up the records of all workers. It handles them as large integers: the sum of two of them has in each lane
the sum of the lanes, as long as none overflows, and is made in a tenth of the time of sums of single lanes. A page has
what all services counted, then what all timed: one integer is then what a worker has counted in all services.

As with the pages of the scoreboard, a worker has one page, writes it by one copy from packed bytes, and its lanes are
found by their names in memory that another version of the host has made.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, zip_longest
from operator import attrgetter

from reactorhost.histogram import BUCKETS
from reactorhost.ipc.counters import SERVICE_TOTALS, Counters
from reactorhost.system.shared_memory import SharedMemory

GAUGES = ("connections", "bus_members")
"""Lanes that also fall."""

MOST_CHAIN_PLUGINS = 16
"""How many plugins of a service have times of their own; the time of later ones is not counted."""

LANE_BYTES = 8

_COUNTED = (*GAUGES, *SERVICE_TOTALS)
_PARTS = {
    # The number is part of the name: a histogram of a version with other buckets is not read as one of this version.
    f"receive/{BUCKETS}": BUCKETS,
    "work": MOST_CHAIN_PLUGINS,
}
_TIMED = (
    "calls",
    "receive_nanoseconds",
    *(f"{name}.{number}" for name, size in _PARTS.items() for number in range(size)),
)


@dataclass(frozen=True, slots=True)
class Lanes:
    """The names of the lanes of a record."""

    counted: tuple[str, ...] = _COUNTED
    timed: tuple[str, ...] = _TIMED


LANES = Lanes()

_COUNTERS = struct.Struct(f"<{len(_COUNTED)}q")
_TIMINGS = struct.Struct(f"<{len(_TIMED)}q")
_counted = attrgetter(*_COUNTED)
_STARTS = tuple(accumulate(_PARTS.values(), initial=2))
_GAUGES_MASK = (1 << 8 * LANE_BYTES * len(GAUGES)) - 1


@dataclass(slots=True)
class ServiceTimings:
    """Timed calls of one service; `work` by the position of the plugin in its chain.

    Attributes:
        calls: calls of `receive` that were timed.
        receive_nanoseconds: their time, the sum of what the histogram counts.
        receive: histogram of their durations.
        work: time on the loop in the timed hooks of each plugin.
    """

    calls: int = 0
    receive_nanoseconds: int = 0
    receive: list[int] = field(default_factory=lambda: [0] * BUCKETS)
    work: list[int] = field(default_factory=lambda: [0] * MOST_CHAIN_PLUGINS)


@dataclass(frozen=True, slots=True)
class ServiceRecords:
    """What services have counted and timed, in the order of the services: of a worker, or the sum of several."""

    counted: int = 0
    timed: tuple[int, ...] = ()

    def without_gauges(self) -> ServiceRecords:
        """Return the records with zeros in the lanes that also fall, which come first."""
        gauges = sum(_GAUGES_MASK << 8 * _COUNTERS.size * service for service in range(len(self.timed)))
        return ServiceRecords(self.counted & ~gauges, self.timed)

    def plus(self, other: ServiceRecords) -> ServiceRecords:
        """Return the sum with other records, which may be of fewer services."""
        timed = (sum(pair) for pair in zip_longest(self.timed, other.timed, fillvalue=0))
        return ServiceRecords(self.counted + other.counted, tuple(timed))

    def lanes(self) -> list[tuple[int, ...]]:
        """Return the lanes of each service, in the order of `LANES`."""
        packed = packed_counters(self.counted, len(self.timed))
        counted = _COUNTERS.iter_unpack(packed)
        timed = (_TIMINGS.unpack(each.to_bytes(_TIMINGS.size, "little")) for each in self.timed)
        return [(*one, *other) for one, other in zip(counted, timed, strict=True)]


def records_of(lanes: Lanes, values: Iterable[Sequence[int]]) -> ServiceRecords:
    """Return the records with these values of each service; lanes that this version does not have are left out."""
    counted, timed = b"", []
    for each in values:
        named = dict(zip((*lanes.counted, *lanes.timed), each, strict=True))
        counted += _COUNTERS.pack(*(named.get(name, 0) for name in _COUNTED))
        timed.append(int.from_bytes(_TIMINGS.pack(*(named.get(name, 0) for name in _TIMED)), "little"))
    return ServiceRecords(int.from_bytes(counted, "little"), tuple(timed))


def packed_counters(counted: int, services: int) -> bytes:
    """Return what services have counted as it is stored."""
    return counted.to_bytes(services * _COUNTERS.size, "little")


def counters_of(packed: bytes, service: int) -> Counters:
    """Return what a service has counted."""
    lanes = _COUNTERS.unpack_from(packed, service * _COUNTERS.size)
    return Counters(**dict(zip(_COUNTED, lanes, strict=True)))


def timings_of(timed: int) -> ServiceTimings:
    """Return the timings of a service by their names."""
    lanes = _TIMINGS.unpack(timed.to_bytes(_TIMINGS.size, "little"))
    receive, work = (list(lanes[at : at + size]) for at, size in zip(_STARTS, _PARTS.values(), strict=False))
    return ServiceTimings(lanes[0], lanes[1], receive, work)


@dataclass(frozen=True, slots=True)
class ServicePagesState:
    """Pages of one layout, and those of them that workers use."""

    descriptor: int
    services: int
    used: tuple[int, ...]
    lanes: Lanes = LANES


class ServicePages:
    """Pages for `capacity` workers with a record for each of `services`; those of `state` continue.

    Attributes:
        used: the pages that workers use.
        lanes: the names of the lanes.
    """

    def __init__(self, capacity: int, services: int, state: ServicePagesState | None = None) -> None:
        self.services = services if state is None else state.services
        self.used = set(() if state is None else state.used)
        self.lanes = LANES if state is None else state.lanes
        self._counted_bytes = self.services * LANE_BYTES * len(self.lanes.counted)
        self._timed_bytes = LANE_BYTES * len(self.lanes.timed)
        record_bytes = self._counted_bytes + self.services * self._timed_bytes
        # Whole pages of memory, which can be released.
        self._page_bytes = -(-record_bytes // mmap.PAGESIZE) * mmap.PAGESIZE
        descriptor = None if state is None else state.descriptor
        self._shared = SharedMemory("services", capacity * self._page_bytes, descriptor)
        self._memory = self._shared.memory

    def export(self) -> ServicePagesState:
        """Return the state, for the program that this process executes."""
        return ServicePagesState(self._shared.export(), self.services, tuple(sorted(self.used)), self.lanes)

    def close(self) -> None:
        """Close the file of the memory, which stays mapped."""
        self._shared.close()

    def use(self, page: int) -> None:
        """Note that a worker has a page."""
        self.used.add(page)

    def give_back(self, page: int) -> None:
        """Set the records of a worker that has ended to zero, and release their memory."""
        self.used.discard(page)
        self._shared.discard(page * self._page_bytes, self._page_bytes)

    def write_counters(self, page: int, service: int, counters: Counters) -> None:
        """Store what a service has counted."""
        self._store(page, service * _COUNTERS.size, _COUNTERS.pack(*_counted(counters)))

    def write_timings(self, page: int, service: int, timings: ServiceTimings) -> None:
        """Store the timings of a service."""
        packed = _TIMINGS.pack(timings.calls, timings.receive_nanoseconds, *timings.receive, *timings.work)
        self._store(page, self._counted_bytes + service * _TIMINGS.size, packed)

    def read(self, page: int) -> ServiceRecords:
        """Return the records that the page's worker wrote last."""
        if self.lanes != LANES:
            return self._earlier_records(page)
        return ServiceRecords(self.counted(page), tuple(self.timed(page, each) for each in range(self.services)))

    def counted(self, page: int) -> int:
        """Return what the page's worker has counted, in all services."""
        if self.lanes != LANES:
            return self._earlier_records(page).counted
        start = page * self._page_bytes
        return int.from_bytes(self._memory[start : start + self._counted_bytes], "little")

    def timed(self, page: int, service: int) -> int:
        """Return what the page's worker has timed in a service."""
        if service >= self.services:
            return 0
        if self.lanes != LANES:
            return self._earlier_records(page).timed[service]
        start = page * self._page_bytes + self._counted_bytes + service * self._timed_bytes
        return int.from_bytes(self._memory[start : start + self._timed_bytes], "little")

    def _earlier_records(self, page: int) -> ServiceRecords:
        start = page * self._page_bytes
        middle = start + self._counted_bytes
        memory, end = self._memory, middle + self.services * self._timed_bytes
        counted = struct.iter_unpack(f"<{len(self.lanes.counted)}q", memory[start:middle])
        timed = struct.iter_unpack(f"<{len(self.lanes.timed)}q", memory[middle:end])
        return records_of(self.lanes, ((*one, *other) for one, other in zip(counted, timed, strict=True)))

    def _store(self, page: int, offset: int, packed: bytes) -> None:
        at = page * self._page_bytes + offset
        self._memory[at : at + len(packed)] = packed
