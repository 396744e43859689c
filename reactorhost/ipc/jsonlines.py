"""JSON objects, one a line, in both directions over a non-blocking unix socket, with descriptors attached.

It is the protocol between master and worker (over a socket pair) and on the control socket, where `nc -U` is a client.

The kernel delivers descriptors with the first byte of the data that they were sent with, and one `recvmsg` returns
nothing that was sent after that data (unix(7)). So what comes with a `recvmsg` belongs to the line of its last byte,
and has arrived when that line is complete. The receiver of the line takes its descriptors then; those that it leaves
are closed. A line of which the kernel dropped some therefore never gets those of the next line.
"""

from __future__ import annotations

import errno
import json
import select
import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from reactorhost.ipc.line_parts import MOST_DESCRIPTORS, Part, close_all, parts_of, received_descriptors
from reactorhost.ipc.line_state import LineState, PartState
from reactorhost.ipc.messages import Message, MessageDecoder
from reactorhost.reactor import READ, WRITE, Reactor
from reactorhost.system import ownership
from reactorhost.system.fork import ForkRegistry

__all__ = ["JsonLine", "Message", "Receiver"]

_READ_BYTES = 65536
# Too many descriptors of this user are on their way, or the kernel has no memory for the message: it is sent later.
_SEND_LATER = (errno.ETOOMANYREFS, errno.ENOBUFS, errno.ENOMEM)
_RETRY_SECONDS = 0.1


class Receiver(Protocol):
    """Handles what a line receives."""

    def message_received(self, line: JsonLine, message: Message) -> None:
        """Handle one object; `line.take_descriptors()` returns the descriptors that came with it, now only."""

    def line_closed(self, line: JsonLine) -> None:
        """Handle the end of the line, by the peer or for a broken protocol; called once, when the line is closed."""


class JsonLine:
    """One end of a line of JSON objects.

    `most_queued` limits `queued`: a peer that does not read ends the line. `on_end` is called when the peer sends
    nothing more but may still read; without it, that closes the line. A line of `state` goes on where another program
    has left it.

    Attributes:
        closed: whether this end is closed.
        ended: whether the peer sends nothing more.
        queued: bytes that the kernel has not accepted yet.
    """

    def __init__(
        self,
        reactor: Reactor,
        sock: socket.socket,
        receiver: Receiver,
        registry: ForkRegistry,
        *,
        most_queued: int | None = None,
        on_end: Callable[[JsonLine], object] | None = None,
        state: LineState | None = None,
    ) -> None:
        sock.setblocking(False)
        self._reactor = reactor
        self._socket = sock
        self._receiver = receiver
        self._registry = registry
        self._most_queued = most_queued
        self._on_end = on_end
        self._decoder = MessageDecoder()
        self._descriptors: deque[int] = deque()
        self._outgoing: deque[Part] = deque()
        self._retrying = False
        self._reading = True
        self._closes_when_sent = False
        self.closed = False
        self.ended = False
        self.queued = 0
        reactor.register(sock.fileno(), READ, self._ready)
        registry.add(self, self._close_in_child)
        if state is not None:
            self._restore(state)

    def export(self) -> LineState:
        """Return the state of this end, whose descriptors stay open."""
        unsent = tuple(PartState(part.data, tuple(part.descriptors)) for part in self._outgoing)
        return LineState(
            self._socket.fileno(),
            self._decoder.incomplete,
            tuple(self._descriptors),
            unsent,
            self._reading,
            self.ended,
            self._closes_when_sent,
        )

    def _restore(self, state: LineState) -> None:
        self._decoder = MessageDecoder(state.incomplete)
        self._descriptors.extend(state.arrived)
        self._outgoing += [Part(part.data, part.descriptors, owned=True) for part in state.unsent]
        self.queued = sum(len(part.data) for part in state.unsent)
        self._reading, self.ended, self._closes_when_sent = state.reading, state.ended, state.closes_when_sent
        self._update_events()

    def peer(self) -> tuple[int, int, int]:
        """Return process, user and group id at the other end."""
        return ownership.peer(self._socket)

    def send(self, message: Message, descriptors: Sequence[int] = ()) -> None:
        """Send one object, or queue what the kernel does not accept now; on a closed line, do nothing.

        Raises:
            OSError: no descriptor is left for the duplicate of one that has to wait; nothing was sent.
        """
        if self.closed:
            return
        data = json.dumps(message, separators=(",", ":"), default=str).encode() + b"\n"
        parts = parts_of(data, descriptors)
        self._outgoing += parts
        self.queued += len(data)
        if self._outgoing[0] is parts[0]:
            self._flush()
        if descriptors:
            self._keep(parts)
        # A client that requests but does not read would otherwise make the master buffer without limit.
        if self._most_queued is not None and self.queued > self._most_queued:
            self._end()

    def set_reading(self, reading: bool) -> None:
        """Read, or leave what the peer sends in the kernel's buffer."""
        if not self.closed and reading is not self._reading:
            self._reading = reading
            self._update_events()

    def close_when_sent(self) -> None:
        """Close once everything is sent."""
        self._closes_when_sent = True
        if not self._outgoing and not self.closed:
            self._end()

    def take_descriptors(self, count: int) -> list[int]:
        """Return `count` descriptors of the line, fewer if the kernel dropped some; the caller closes them."""
        return [self._descriptors.popleft() for _ in range(min(count, len(self._descriptors)))]

    def close(self) -> None:
        """Close without calling the receiver; closing again does nothing."""
        if self.closed:
            return
        self.closed = True
        self._registry.discard(self)
        self._reactor.unregister(self._socket.fileno())
        self._close_descriptors()

    def _close_in_child(self) -> None:
        # Without unregistering: the epoll set is shared with the parent, whose registration must stay.
        self.closed = True
        self._close_descriptors()

    def read_rest(self) -> None:
        """Receive everything that is in the kernel's buffer, for example what a peer sent before it exited."""
        while not self.closed and self._receive():
            pass

    def receive_within(self, seconds: float) -> bool:
        """Wait for something and deliver it, without the loop; returns False if nothing comes or the line has ended."""
        if self.closed:
            return False
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return bool(poll.poll(max(0.0, seconds) * 1000)) and self._receive()

    def _close_descriptors(self) -> None:
        self._socket.close()
        close_all(self._descriptors)
        self._descriptors.clear()
        self._drop_outgoing()

    def _ready(self, events: int) -> None:
        # One read for each report: the reactor reports what is left again, after the other connections had their turn.
        if events & WRITE and not self.closed:
            self._flush()
        if events & READ and not self.closed:
            if self.ended:
                # Nothing is read any more, so this is a hang-up: the peer does not read either.
                self._end()
            else:
                self._receive()

    def _receive(self) -> bool:
        """Receive once; returns False when nothing was received."""
        try:
            data, ancillary, _, _ = self._socket.recvmsg(
                _READ_BYTES, socket.CMSG_SPACE(MOST_DESCRIPTORS * 4), socket.MSG_CMSG_CLOEXEC
            )
        except BlockingIOError:
            return False
        except OSError:
            self._end()
            return False
        if not data:
            if self._on_end is None:
                self._end()
            else:
                self.ended = True
                self._update_events()
                self._on_end(self)
            return False
        received = received_descriptors(ancillary)
        if received:
            # The lines before the one that they came with are delivered without them.
            begin = data.rfind(b"\n", 0, -1) + 1
            self._deliver(data[:begin])
            data = data[begin:]
            if self.closed:
                close_all(received)
            self._descriptors.extend(() if self.closed else received)
        self._deliver(data)
        return True

    def _deliver(self, data: bytes) -> None:
        messages = self._decoder.feed(data)
        # The receiver may close the line: the messages after that one are dropped.
        while not self.closed:
            # Not one `try` around a `for`: it would also catch a ConnectionError that the receiver raises.
            try:
                message = next(messages, None)
            except ConnectionError:
                self._end()
                return
            if message is None:
                return
            self._receiver.message_received(self, message)
            close_all(self._descriptors)
            self._descriptors.clear()

    def _flush(self) -> None:
        while self._outgoing:
            part = self._outgoing[0]
            try:
                if part.descriptors:
                    sent = socket.send_fds(self._socket, [part.data], list(part.descriptors))
                else:
                    sent = self._socket.send(part.data)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno in _SEND_LATER:
                    # Not WRITE: the socket is writable, and would be reported in every turn.
                    self._retrying = True
                    self._reactor.call_later(_RETRY_SECONDS, self._retry)
                    break
                if part.descriptors:
                    # One of them cannot be sent. The receiver finds too few of them, and the other lines arrive.
                    part.drop_descriptors()
                    continue
                # The peer is gone. `_receive` handles that, after everything that the peer has sent before.
                self._drop_outgoing()
                break
            # Sent with the first byte, so the rest of the data goes without them: sent again, they would arrive twice.
            part.drop_descriptors()
            part.data = part.data[sent:]
            self.queued -= sent
            if not part.data:
                self._outgoing.popleft()
        if self._closes_when_sent and not self._outgoing:
            self._end()
        else:
            self._update_events()

    def _retry(self) -> None:
        self._retrying = False
        if not self.closed:
            self._flush()

    def _update_events(self) -> None:
        events = READ if self._reading and not self.ended else 0
        if self._outgoing and not self._retrying:
            events |= WRITE
        self._reactor.modify(self._socket.fileno(), events, self._ready)

    def _keep(self, parts: Sequence[Part]) -> None:
        """Duplicate the descriptors that wait, so that the caller may close its own at once.

        Raises:
            OSError: no descriptor is left; nothing of the line was sent.
        """
        waiting = [part for part in parts if part.descriptors]
        try:
            for part in waiting:
                part.duplicate_descriptors()
        except OSError:
            nothing_sent = parts[0] in waiting
            for part in waiting:
                part.drop_descriptors()
            # What was begun has to be finished, for the lines after it. The receiver finds too few descriptors.
            if nothing_sent:
                for part in parts:
                    self._outgoing.remove(part)
                    self.queued -= len(part.data)
                self._update_events()
                raise

    def _drop_outgoing(self) -> None:
        for part in self._outgoing:
            part.drop_descriptors()
        self._outgoing.clear()
        self.queued = 0

    def _end(self) -> None:
        self.close()
        self._receiver.line_closed(self)
