"""Tables that one worker writes and the others have copies of, kept equal by numbered changes.

The writer has a `Journal`. Each change of its table adds 1 to the version, and is sent with it. A reader has a
`Replica`, and applies a change only if its version is the next one. After a missed one it wants a snapshot: the whole
table at one version, in chunks, so that a large table never needs one large message.

The changes that follow the version of a snapshot may arrive between its chunks. The reader keeps them until the last
chunk, so that the writer can send a chunk whenever there is room. A chunk that is missing spoils the snapshot, and
another one is wanted. A reader may also receive a snapshot that another reader has requested.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

CHUNK_BYTES = 64 * 1024
_ENTRY_BYTES = 6


class Replicated(enum.IntEnum):
    """The tables that every worker has of its own and that are replicated to the others.

    A table maps texts to bytes. Its owner is its only writer.
    """

    INTEREST = 0
    """The patterns of keys that a worker wants messages of; no values."""
    PRESENCE = 1
    """Members with an `info`: `GROUP\\0NUMBER`, where NUMBER is the connection's id, and the info."""


class Change(NamedTuple):
    """A change of a table, after which it has this version; a value of None removes the key."""

    version: int
    key: str
    value: bytes | None


class Chunk(NamedTuple):
    """A part of a table as it was at a version; `position` counts the chunks of a snapshot from 0."""

    version: int
    position: int
    last: bool
    entries: Sequence[tuple[str, bytes]]


class Difference(NamedTuple):
    """What a change or a snapshot did to a replica; a key whose value changed is in both.

    `first`: nothing was known of the table before.
    """

    removed: Mapping[str, bytes]
    added: Mapping[str, bytes]
    first: bool = False


@dataclass(slots=True)
class Journal:
    """A table, on the side of its writer; the version is the number of its changes."""

    table: dict[str, bytes] = field(default_factory=dict)
    version: int = 0

    def set(self, key: str, value: bytes | None) -> Change | None:
        """Set the value of a key, or with None remove it; returns the change to send, None if there is none."""
        if self.table.get(key) == value:
            return None
        if value is None:
            del self.table[key]
        else:
            self.table[key] = value
        self.version += 1
        return Change(self.version, key, value)

    def snapshot(self) -> Iterator[Chunk]:
        """Return the chunks of the table as it is now; an empty table has one chunk too."""
        return _chunks(self.version, list(self.table.items()))


def _chunks(version: int, entries: Sequence[tuple[str, bytes]]) -> Iterator[Chunk]:
    position = begin = size = 0
    for at, (key, value) in enumerate(entries):
        entry_size = _ENTRY_BYTES + len(key) + len(value)
        if size + entry_size > CHUNK_BYTES and at > begin:
            yield Chunk(version, position, last=False, entries=entries[begin:at])
            position, begin, size = position + 1, at, 0
        size += entry_size
    yield Chunk(version, position, last=True, entries=entries[begin:])


@dataclass(slots=True)
class _Staging:
    """A snapshot of which chunks are missing, with the changes that have arrived since its first chunk.

    `checked` is the number of its chunks at the last `check`.
    """

    version: int
    chunks: int = 0
    checked: int = 0
    table: dict[str, bytes] = field(default_factory=dict)
    changes: dict[str, bytes | None] = field(default_factory=dict)


@dataclass(slots=True)
class Replica:
    """A copy of a table.

    Attributes:
        table: the copy; while it is not `current`, that of an old version.
        version: the version of the copy, None until the first snapshot is complete.
        wanted: whether a snapshot has to be requested. The caller sets it to False when it has done so.
    """

    table: dict[str, bytes] = field(default_factory=dict)
    version: int | None = None
    wanted: bool = False
    _behind: bool = True
    # Not again for each change that arrives before the snapshot.
    _requested: bool = False
    _staging: _Staging | None = None

    @property
    def current(self) -> bool:
        """Whether no change is known to be missing."""
        return not self._behind

    def change(self, version: int, key: str, value: bytes | None) -> Difference | None:
        """Apply a change; returns None if the copy stays as it is, also because a snapshot is needed first."""
        self._stage(version, key, value)
        known = self.version
        if known is None or self._behind:
            if self._staging is None:
                self._want()
            return None
        if version <= known:
            # A snapshot had it already.
            return None
        if version != known + 1:
            self._behind = True
            if self._staging is None:
                self._want()
            return None
        self.version = version
        before = self.table.pop(key, None)
        if value is not None:
            self.table[key] = value
        return Difference({} if before is None else {key: before}, {} if value is None else {key: value})

    def chunk(self, chunk: Chunk) -> Difference | None:
        """Add a chunk of a snapshot; returns None unless it is the last one, and changes the copy."""
        if chunk.position == 0:
            self._staging = _Staging(chunk.version)
        staging = self._staging
        if staging is None:
            # The rest of a snapshot that is spoiled already.
            return None
        if chunk.position != staging.chunks:
            self._spoil()
            return None
        staging.chunks += 1
        staging.table.update(chunk.entries)
        return self._replace(staging) if chunk.last else None

    def check(self, version: int) -> None:
        """Compare with a version that the writer reports from time to time; also notices that a snapshot was lost."""
        if self._staging is not None and self._staging.checked != self._staging.chunks:
            self._staging.checked = self._staging.chunks
            return
        self._staging = None
        if self._behind or version != self.version:
            self._requested = False
            self._want()

    def _want(self) -> None:
        self._behind = True
        if not self._requested:
            self._requested = self.wanted = True

    def _spoil(self) -> None:
        self._staging = None
        if self._behind:
            self._requested = False
            self._want()

    def _stage(self, version: int, key: str, value: bytes | None) -> None:
        staging = self._staging
        if staging is None or version <= staging.version:
            return
        if version == staging.version + 1:
            staging.version = version
            staging.changes[key] = value
        else:
            self._spoil()

    def _replace(self, staging: _Staging) -> Difference | None:
        self._staging = None
        if self.version is not None and not self._behind and self.version >= staging.version:
            return None
        table = staging.table
        for key, value in staging.changes.items():
            # Removed first, so that the order is that of the writer's table.
            table.pop(key, None)
            if value is not None:
                table[key] = value
        before, first = self.table, self.version is None
        self.table, self.version = table, staging.version
        self._behind = self._requested = self.wanted = False
        removed = {key: value for key, value in before.items() if table.get(key) != value}
        added = {key: value for key, value in table.items() if before.get(key) != value}
        return Difference(removed, added, first) if removed or added or first else None
