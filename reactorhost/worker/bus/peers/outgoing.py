"""What waits for one peer, in a bounded number of bytes; nothing here makes a system call.

Over the bound messages are dropped, and the peer is owed a gap: the keys of what was dropped, or after a thousand keys
that they are unknown. From the first drop on, every message is dropped until half of the queue is sent. Then the gap
goes out, before any other message: so no message of a key overtakes the report that earlier ones are missing, and a
peer that is only just too slow has few long gaps, not a gap after each message.

A dropped message that is still in the history is repeated in front of the gap. Nothing is sent twice by that, because
nothing that was published after the first drop was sent.

What replicates the tables is bounded too: a change for which there is no room makes the queue owe a snapshot in its
place. Snapshots are made when there is room, and queued a chunk at a time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping

from reactorhost.bus import frames
from reactorhost.bus.frames import MOST_GAP_KEYS
from reactorhost.bus.replica import Chunk, Journal, Replicated
from reactorhost.worker.bus.contract import Repeats

WRITE_BYTES = 64 * 1024
"""Up to so many bytes of small frames are joined for one `send`."""


class Outgoing:
    """The queue of one peer, which begins with `hello` and the tables.

    Attributes:
        size: bytes that wait.
    """

    __slots__ = ("_chunks", "_ending", "_frames", "_gap_of_all", "_journals", "_lost", "_max_queue", "_offset",
                 "_owed_snapshots", "_repeats", "_wanted_snapshots", "size")  # fmt: skip

    def __init__(self, hello: bytes, max_queue: int, journals: Mapping[Replicated, Journal], repeats: Repeats) -> None:
        self.size = len(hello)
        self._max_queue = max_queue
        self._journals = journals
        self._repeats = repeats
        self._frames = deque([hello])
        # Bytes of the first frame that are sent.
        self._offset = 0
        # By key, the number of the first message that was dropped. Not empty: a gap is owed.
        self._lost: dict[str, int] = {}
        self._gap_of_all = False
        self._owed_snapshots = dict.fromkeys(journals)
        self._chunks: dict[Replicated, Iterator[Chunk]] = {}
        self._wanted_snapshots: dict[Replicated, None] = {}
        self._ending = False

    @property
    def waiting(self) -> bool:
        """Whether there is anything to send."""
        owed = self._lost or self._owed_snapshots or self._chunks or self._wanted_snapshots or self._ending
        return bool(self.size or owed)

    def end(self) -> None:
        """Queue GOODBYE behind everything that waits or is owed; nothing may be added any more."""
        self._ending = True

    def message(self, key: str, number: int, frame: bytes) -> bool:
        """Queue a message; returns False if it was dropped."""
        size = self.size + len(frame)
        # A message that is longer than the queue may be is sent alone.
        if self._lost or (size > self._max_queue and self.size):
            self.lose(key, number)
            return False
        self._frames.append(frame)
        self.size = size
        return True

    def lose(self, key: str, number: int) -> None:
        """Owe the peer the report that this message was dropped."""
        if key in self._lost:
            return
        if len(self._lost) < MOST_GAP_KEYS:
            self._lost[key] = number
        else:
            self._gap_of_all = True

    def to_connection(self, frame: bytes) -> bool:
        """Queue a message for one connection of the peer; returns False if it was dropped."""
        if not self._has_room(len(frame)):
            return False
        self._append(frame)
        return True

    def change(self, table: Replicated, frame: bytes) -> None:
        """Queue a change of a table."""
        if table in self._owed_snapshots:
            return
        if self._has_room(len(frame)):
            self._append(frame)
        else:
            self.owe_snapshot(table)

    def owe_snapshot(self, table: Replicated) -> None:
        """Send a snapshot of a table when there is room; one whose chunks are being sent is not completed."""
        self._owed_snapshots[table] = None

    def want_snapshot(self, table: Replicated) -> None:
        """Request a snapshot of a table of the peer."""
        self._wanted_snapshots[table] = None

    def heartbeat(self) -> None:
        """Queue a heartbeat, unless other bytes wait, which are a sign of life too."""
        # The versions would be wrong for a reader while a snapshot is owed: it would request another one.
        if not self.waiting:
            self._append(frames.heartbeat([self._journals[table].version for table in Replicated]))

    def gather(self) -> bytes | memoryview:
        """Return bytes to send now, none if nothing waits; `sent` has to follow."""
        if self.size <= self._max_queue // 2:
            self._refill()
        if not self.size:
            return b""
        first = self._frames[0]
        if self._offset or len(first) >= WRITE_BYTES:
            # Not joined with others: what the kernel does not accept of it would be copied again each time.
            return memoryview(first)[self._offset :]
        # Measured: for frames of 100 bytes, joining them costs half of what `sendmsg` needs for as many buffers.
        if self.size <= WRITE_BYTES:
            return b"".join(self._frames)
        size, joined = 0, []
        for frame in self._frames:
            size += len(frame)
            if size > WRITE_BYTES:
                break
            joined.append(frame)
        return b"".join(joined)

    def sent(self, count: int) -> None:
        """Remove bytes that the kernel has accepted."""
        if count == self.size:
            self._frames.clear()
            self.size = self._offset = 0
            return
        self.size -= count
        count += self._offset
        while count >= len(self._frames[0]):
            count -= len(self._frames.popleft())
        self._offset = count

    def _has_room(self, size: int) -> bool:
        return self.size + size <= self._max_queue or not self.size

    def _append(self, frame: bytes) -> None:
        self._frames.append(frame)
        self.size += len(frame)

    def _refill(self) -> None:
        if self._lost:
            self._repair()
        for table in self._wanted_snapshots:
            self._append(frames.resync(table))
        self._wanted_snapshots.clear()
        for table in self._owed_snapshots:
            self._chunks[table] = self._journals[table].snapshot()
        self._owed_snapshots.clear()
        while self._chunks and self.size < WRITE_BYTES:
            table, chunks = next(iter(self._chunks.items()))
            chunk = next(chunks)
            self._append(frames.table_chunk(table, chunk))
            if chunk.last:
                del self._chunks[table]
        if self._ending and not self._chunks:
            self._ending = False
            self._append(frames.goodbye())

    def _repair(self) -> None:
        """Queue what can be repeated, and the gaps."""
        lost, self._lost = self._lost, {}
        if self._gap_of_all:
            self._gap_of_all = False
            self._append(frames.gap(None, recovered=False))
            return
        repeated = {key: number > 0 and self._repeat(key, number) for key, number in lost.items()}
        for recovered in (True, False):
            keys = [key for key in lost if repeated[key] is recovered]
            if keys:
                self._append(frames.gap(keys, recovered=recovered))

    def _repeat(self, key: str, number: int) -> bool:
        messages = self._repeats.since(key, number)
        if messages is None:
            return False
        repeated = [frames.message(key, each, data) for each, data in messages]
        if self.size + sum(map(len, repeated)) > self._max_queue:
            return False
        for frame in repeated:
            self._append(frame)
        return True
