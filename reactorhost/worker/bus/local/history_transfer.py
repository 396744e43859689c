"""Reads the histories of the other workers of the host when this one starts, and lets others read its own.

Everything that one worker keeps is read. It has received the messages of all publishers, also of those that have ended.
But what is on its way to it, from a publisher that did not know the new worker yet, neither of the two would have. So
of each of the others the messages are read that it has published itself. It sends them on the stream on which its later
messages follow, and nothing is missing between the two.

A worker that has just started itself has nothing of those before it. Its pages say so, and everything is read of the
next one. One that ends is skipped. One that does not answer in time is read once more after all others; requests of
plugins do not wait for that.

    IDLE -> READING each known worker, one at a time -> READY, and reading again those that were late
    READY: all that were known were read and the introductions are complete, or START_SECONDS have passed.

A worker that ends pushes what it keeps to those that have begun later and have not read it to its end: it may have been
the only one, and a new worker that is ready lets it end at once.

Requests and pages are messages for the connection `THE_WORKER`, so they keep the order of the stream.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from reactorhost.bus.history import Histories, Part
from reactorhost.bus.history_pages import Page, PageRequest, decoded, encoded_page, encoded_request
from reactorhost.bus.refs import ID_BYTES, Origin
from reactorhost.reactor import Reactor, TimerHandle
from reactorhost.worker.bus.contract import THE_WORKER, Outbound

PAGE_BYTES = 256 * 1024
PAGE_SECONDS = 1.0
"""How long a page is waited for."""
_PUSHED = 0
"""The number of the transfer of pages that were not requested; others are numbered from 1."""
START_SECONDS = 3.0
"""How long the whole may take before requests of plugins are answered with what is there."""


class TransferState(enum.Enum):
    """How far the transfers are."""

    IDLE = "idle"
    """Nothing is kept here."""
    READING = "reading"
    READY = "ready"
    """The histories of the others were read, or cannot be."""


@dataclass(slots=True)
class _Reading:
    """A transfer from one worker; `parts` are those of the last key, of which more may follow."""

    origin: Origin
    number: int
    own: bool
    timer: TimerHandle
    parts: list[Part]


class HistoryTransfer:
    """The transfers of one worker.

    Attributes:
        outbound: the way to the other workers; None before it is needed.
        state: how far they are.
    """

    def __init__(self, own: Origin, reactor: Reactor, histories: Histories, on_ready: Callable[[], object]) -> None:
        self.outbound: Outbound | None = None
        self.state = TransferState.IDLE
        self._origin = own
        self._reactor = reactor
        self._histories = histories
        self._on_ready = on_ready
        self._deadline: TimerHandle | None = None
        self._introduced = False
        self._known: set[Origin] = set()
        self._unread: deque[Origin] = deque()
        # Those that have not answered in time: to be read again, and all of them.
        self._late: deque[Origin] = deque()
        self._were_late: set[Origin] = set()
        self._reading: _Reading | None = None
        self._has_all = False
        self._transfers = 0
        # By the worker that reads: the number of its transfer, and the parts that are left.
        self._read_by: dict[Origin, tuple[int, Iterator[Part]]] = {}
        # Those that have got the last page.
        self._have_read: set[Origin] = set()
        # By the worker that pushes: the parts of the last key, of which more may follow.
        self._pushed: dict[Origin, list[Part]] = {}

    # Reading others.

    def begin(self) -> None:
        """Begin to read, because something is kept now; does nothing if it has begun."""
        if self.state is TransferState.IDLE:
            self.state = TransferState.READING
            self._deadline = self._reactor.call_later(START_SECONDS, self._become_ready)
            self._unread.extend(sorted(self._known, key=lambda origin: origin.worker))
            self._continue()

    def introduced(self) -> None:
        """Note that every worker that used the bus before this one is known."""
        self._introduced = True
        self._continue()

    def peer_known(self, origin: Origin) -> None:
        """Note a worker that can be read now."""
        if origin.host == self._origin.host and origin not in self._known:
            self._known.add(origin)
            if self.state is not TransferState.IDLE:
                self._unread.append(origin)
                self._continue()

    def peer_gone(self, origin: Origin) -> None:
        """Forget a worker that has ended or is silent."""
        self._known.discard(origin)
        self._read_by.pop(origin, None)
        self._pushed.pop(origin, None)
        self._have_read.discard(origin)
        self._were_late.discard(origin)
        for waiting in (self._unread, self._late):
            if origin in waiting:
                waiting.remove(origin)
        if self._reading is not None and self._reading.origin == origin:
            self._end_reading()
            self._continue()

    def _continue(self) -> None:
        if self.state is TransferState.IDLE or self._reading is not None:
            return
        while self._unread:
            if self._start(self._unread.popleft()):
                return
        if not self._introduced:
            return
        self._become_ready()
        while self._late:
            if self._start(self._late.popleft()):
                return

    def _start(self, origin: Origin) -> bool:
        assert self.outbound is not None
        self._transfers += 1
        timer = self._reactor.call_later(PAGE_SECONDS, self._missed_page)
        self._reading = _Reading(origin, self._transfers, self._has_all, timer, [])
        if self._request(self._reading, begins=True):
            return True
        self._end_reading()
        return False

    def _request(self, reading: _Reading, *, begins: bool) -> bool:
        assert self.outbound is not None
        request = PageRequest(self._origin.id, reading.number, begins, reading.own)
        return self.outbound.to_connection(reading.origin, THE_WORKER, encoded_request(request))

    def _missed_page(self) -> None:
        assert self._reading is not None
        origin = self._reading.origin
        if origin not in self._were_late:
            self._were_late.add(origin)
            self._late.append(origin)
        self._end_reading()
        self._continue()

    def _end_reading(self) -> None:
        assert self._reading is not None
        self._reading.timer.cancel()
        self._reading = None

    def _become_ready(self) -> None:
        if self.state is TransferState.READING:
            self.state = TransferState.READY
            assert self._deadline is not None
            self._deadline.cancel()
            self._on_ready()

    # What arrives.

    def received(self, data: bytes) -> None:
        """Handle a request or a page; ignores one of another version."""
        try:
            message = decoded(data)
        except ValueError:
            return
        sender = Origin.of(message.sender)
        if sender.host != self._origin.host:
            # A backend carries messages for connections too, but every host has its own history.
            return
        if isinstance(message, PageRequest):
            self._answer(sender, message)
        elif message.transfer == _PUSHED:
            self._add_pushed(sender, message)
        elif self._reading is not None and (sender, message.transfer) == (self._reading.origin, self._reading.number):
            self._add(self._reading, message)

    def _add(self, reading: _Reading, page: Page) -> None:
        self._collect(reading.parts, page)
        reading.timer.cancel()
        if not page.last:
            reading.timer = self._reactor.call_later(PAGE_SECONDS, self._missed_page)
            if self._request(reading, begins=False):
                return
        self._merge(reading.parts)
        if page.last and page.complete and not reading.own:
            self._has_all = True
        self._end_reading()
        self._continue()

    def _add_pushed(self, sender: Origin, page: Page) -> None:
        parts = self._pushed.setdefault(sender, [])
        self._collect(parts, page)
        if page.last:
            self._merge(parts)
            del self._pushed[sender]

    def _collect(self, parts: list[Part], page: Page) -> None:
        """Append the parts of a page, and merge those of each key that is complete."""
        for part in page.parts:
            if parts and parts[0].key != part.key:
                self._merge(parts)
            parts.append(part)

    def _merge(self, parts: list[Part]) -> None:
        if parts:
            first = parts[0]
            entries = [entry for part in parts for entry in part.entries]
            self._histories.merge(Part(first.key, first.last_at, entries), self._reactor.clock())
            parts.clear()

    # Being read.

    def _answer(self, reader: Origin, request: PageRequest) -> None:
        if request.begins:
            origin = self._origin.id if request.own else None
            self._read_by[reader] = request.transfer, self._histories.parts(origin, PAGE_BYTES)
        number, parts = self._read_by.get(reader, (0, iter(())))
        if number != request.transfer or self.outbound is None:
            return
        found, last = self._next_parts(parts)
        if last:
            del self._read_by[reader]
            self._have_read.add(reader)
        page = Page(self._origin.id, request.transfer, last, self.state is TransferState.READY, found)
        self.outbound.to_connection(reader, THE_WORKER, encoded_page(page))

    def leave(self) -> None:
        """Push what is kept to the workers that have begun later and have not read it, because this one ends."""
        if self.outbound is not None and self.state is not TransferState.IDLE:
            self.outbound.push(self._pages(), self._have_read)

    def _pages(self) -> Iterator[bytes]:
        parts, last = self._histories.parts(None, PAGE_BYTES), False
        while not last:
            found, last = self._next_parts(parts)
            yield encoded_page(Page(self._origin.id, _PUSHED, last, self.state is TransferState.READY, found))

    def _next_parts(self, parts: Iterator[Part]) -> tuple[list[Part], bool]:
        """Return the parts of a page, and whether they are the last."""
        found = []
        size = 0
        for part in parts:
            found.append(part)
            size += len(part.key) + sum(len(entry.data) + 2 * ID_BYTES for entry in part.entries)
            if size >= PAGE_BYTES:
                return found, False
        return found, True
