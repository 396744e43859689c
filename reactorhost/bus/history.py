"""The newest messages of groups, in memory and bounded.

A ring is kept for each key that fits a pattern. It has the messages in the order in which they arrived here, those of
one origin in the order of their numbers. A message has an origin and a number, and is kept once however often it is
added: a worker that starts gets the rings of another one, and meanwhile receives messages that are in these as well.

Nothing here reads a clock: `now` is monotonic seconds, passed in.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from reactorhost.bus.backend import Keep
from reactorhost.bus.patterns import PatternMap

MOST_BYTES = 64 * 1024 * 1024
"""What the rings of one worker may occupy."""

# Estimates of what they occupy besides the data.
_ENTRY_BYTES = 200
_RING_BYTES = 1500


class Entry(NamedTuple):
    """A message: its origin, as ids of host and worker one after the other, its number there, and its data."""

    origin: bytes
    number: int
    data: bytes


class Part(NamedTuple):
    """Entries of a key, and when its last message was added."""

    key: str
    last_at: float
    entries: Sequence[Entry]


@dataclass(slots=True)
class _Ring:
    """The entries of a key; `newest` is the highest number of each origin that has entries."""

    last_at: float
    entries: deque[Entry] = field(default_factory=deque)
    newest: dict[bytes, int] = field(default_factory=dict)
    size: int = _RING_BYTES

    def append(self, entry: Entry) -> None:
        self.entries.append(entry)
        self.newest[entry.origin] = entry.number
        self.size += _size(entry)

    def remove_oldest(self) -> None:
        oldest = self.entries.popleft()
        self.size -= _size(oldest)
        if self.newest[oldest.origin] == oldest.number:
            del self.newest[oldest.origin]

    def replace(self, entries: Iterable[Entry]) -> None:
        self.entries.clear()
        self.newest.clear()
        self.size = _RING_BYTES
        for entry in entries:
            self.append(entry)


class Histories:
    """The rings of one worker.

    When they occupy more than `most_bytes`, those of the groups that have been silent for the longest time are removed.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._keeps: PatternMap[Keep] = PatternMap()
        # Ordered by the last message.
        self._rings: OrderedDict[str, _Ring] = OrderedDict()
        self._size = 0

    def keep(self, pattern: str, keep: Keep) -> None:
        """Keep the messages of a key or of a pattern of keys; of several that fit a key, the largest values count."""
        self._keeps[pattern] = _larger(self._keeps.get(pattern), keep)

    def keep_of(self, key: str) -> Keep | None:
        """Return how much of a key is kept, None for nothing."""
        found = None
        for keep in self._keeps.matching(key):
            found = _larger(found, keep)
        return found

    def add(self, key: str, entry: Entry, now: float) -> None:
        """Keep a message that was published now; does nothing if its key is not kept."""
        keep = self.keep_of(key)
        if keep is None:
            return
        ring = self._of(key, keep, now) or _Ring(now)
        before = ring.size if key in self._rings else 0
        ring.last_at = now
        if entry.number > ring.newest.get(entry.origin, 0):
            ring.append(entry)
        else:
            ring.replace(_in_order([*ring.entries, entry]))
        self._store(key, ring, keep, before)
        self._rings.move_to_end(key)
        self._make_room(now)

    def merge(self, part: Part, now: float) -> None:
        """Add entries that another worker has kept, each where it is among those that are here too."""
        keep = self.keep_of(part.key)
        if keep is None or _is_expired(part, keep, now):
            return
        ring = self._of(part.key, keep, now) or _Ring(part.last_at)
        before = ring.size if part.key in self._rings else 0
        ring.last_at = min(max(ring.last_at, part.last_at), now)
        ring.replace(_in_order(_spliced(part.entries, ring.entries)))
        self._store(part.key, ring, keep, before)
        self._make_room(now)

    def newest(self, key: str, most: int, now: float) -> list[bytes]:
        """Return the newest messages of a key, at most `most` and the newest last."""
        keep = self.keep_of(key)
        ring = None if keep is None else self._of(key, keep, now)
        if ring is None:
            return []
        skipped = max(0, len(ring.entries) - most)
        return [entry.data for at, entry in enumerate(ring.entries) if at >= skipped]

    def since(self, key: str, origin: bytes, number: int) -> list[tuple[int, bytes]] | None:
        """Return the messages of an origin from a number on, or None if that one is not kept any more."""
        ring = self._rings.get(key)
        if ring is None:
            return None
        found = [(entry.number, entry.data) for entry in ring.entries if entry.origin == origin]
        kept = [each for each in found if each[0] >= number]
        return kept if kept and kept[0][0] == number else None

    def parts(self, origin: bytes | None, most_bytes: int) -> Iterator[Part]:
        """Return all entries, or those of one origin, in parts of about so many bytes and at least one entry.

        A ring is read when its first part is requested, so that the iterator may be used while rings change.
        """
        for key in list(self._rings):
            ring = self._rings.get(key)
            if ring is None:
                continue
            entries: list[Entry] = []
            size = 0
            for entry in list(ring.entries):
                if origin is not None and entry.origin != origin:
                    continue
                if entries and size + _size(entry) > most_bytes:
                    yield Part(key, ring.last_at, entries)
                    entries, size = [], 0
                entries.append(entry)
                size += _size(entry)
            if entries:
                yield Part(key, ring.last_at, entries)

    def _of(self, key: str, keep: Keep, now: float) -> _Ring | None:
        ring = self._rings.get(key)
        if ring is not None and _is_expired(ring, keep, now):
            self._remove(key)
            return None
        return ring

    def _store(self, key: str, ring: _Ring, keep: Keep, before: int) -> None:
        while len(ring.entries) > keep.messages:
            ring.remove_oldest()
        self._rings[key] = ring
        self._size += ring.size - before

    def _make_room(self, now: float) -> None:
        while self._rings:
            key, ring = next(iter(self._rings.items()))
            keep = self.keep_of(key)
            assert keep is not None
            if self._size <= self._most_bytes and not _is_expired(ring, keep, now):
                return
            if len(self._rings) == 1 and len(ring.entries) > 1 and not _is_expired(ring, keep, now):
                # The only group: its oldest messages instead of all.
                before = ring.size
                ring.remove_oldest()
                self._size += ring.size - before
            else:
                self._remove(key)

    def _remove(self, key: str) -> None:
        self._size -= self._rings.pop(key).size


def _larger(one: Keep | None, other: Keep) -> Keep:
    if one is None:
        return other
    seconds = None if one.seconds is None or other.seconds is None else max(one.seconds, other.seconds)
    return Keep(max(one.messages, other.messages), seconds)


def _size(entry: Entry) -> int:
    return _ENTRY_BYTES + len(entry.data)


def _is_expired(ring: _Ring | Part, keep: Keep, now: float) -> bool:
    return keep.seconds is not None and now - ring.last_at > keep.seconds


def _spliced(others: Iterable[Entry], kept: Iterable[Entry]) -> list[Entry]:
    """Return the entries that are kept in their order, and before each of them the others that precede it.

    Others that precede none are behind the last one that is kept too. If none is, they are older and come first.
    """
    known = {(entry.origin, entry.number) for entry in kept}
    preceding: dict[tuple[bytes, int], list[Entry]] = {}
    run: list[Entry] = []
    last = None
    for entry in others:
        if (entry.origin, entry.number) in known:
            last = entry.origin, entry.number
            preceding.setdefault(last, []).extend(run)
            run = []
        else:
            run.append(entry)
    spliced = run if last is None else []
    for entry in kept:
        key = entry.origin, entry.number
        spliced += [*preceding.get(key, ()), entry]
        if key == last:
            spliced += run
    return spliced


def _in_order(found: Iterable[Entry]) -> list[Entry]:
    """Return the entries, each once, and those of each origin in the order of their numbers."""
    entries = {(entry.origin, entry.number): entry for entry in found}
    of_origin: dict[bytes, list[Entry]] = {}
    for entry in entries.values():
        of_origin.setdefault(entry.origin, []).append(entry)
    # The places of each origin stay, and its entries are sorted into them.
    in_order = {origin: iter(sorted(each)) for origin, each in of_origin.items()}
    return [next(in_order[origin]) for origin, _ in entries]
