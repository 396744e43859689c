"""The stream transport: moves bytes between one socket and one connection.

The way of a message is short on purpose: the reactor reads, the inbox calls the resolved chain, and one send answers.
Closing takes three steps (flush, FIN, wait for the client's end), because a socket closed over unread input answers
with a reset that can overtake our last bytes.
"""

from __future__ import annotations

import contextlib
import enum
import socket
import time
from collections.abc import Callable
from typing import Any

from reactorhost.address import Endpoint
from reactorhost.api.connection import CloseReason, Connection
from reactorhost.framing import Framing
from reactorhost.reactor import READ, READ_BYTES, WRITE, Arrivals, TimerHandle
from reactorhost.tls.facts import TlsFacts
from reactorhost.worker.context import ServiceContext
from reactorhost.worker.hooks.timers import PluginTimer, PluginTimers, checked_seconds
from reactorhost.worker.stream.framed_input import FramedInput
from reactorhost.worker.stream.send_buffer import FEW, SendBuffer
from reactorhost.worker.stream.socket import StreamSocket, endpoint, reset_on_close

# A client that fills a read is asked for four times as much in the next, as far as it goes, by its transport and not
# by the reactor: what comes is handed over before the next such client is read.
_LARGEST_READ = 512 * 1024
# What changes its framing at every message costs a copy of the rest each time.
_LARGEST_FRAMED_READ = 64 * 1024
_DISCARDED_READ = 64 * 1024
_MOST_GATHERED = 16 * 1024

# Beside READ: the reactor reads, and calls nobody back.
_BY_REACTOR = 1 << 16


class CloseState(enum.Enum):
    """How far the end of a connection has come."""

    OPEN = "open"
    FLUSHING = "flushing"
    LINGERING = "lingering"
    CLOSED = "closed"


class StreamTransport:
    """Owns the socket of one connection."""

    __slots__ = (
        "_accepted_at",
        "_context",
        "_counters",
        "_deadline",
        "_eof_received",
        "_eof_wanted",
        "_gathered",
        "_held",
        "_idle_seconds",
        "_interest",
        "_kept",
        "_local",
        "_outgoing",
        "_paused",
        "_peer",
        "_phase",
        "_read_size",
        "_reason",
        "_sends_at_once",
        "_timers",
        "active_at",
        "arrivals",
        "busy",
        "connection",
        "receiver",
        "socket",
        "takes_input",
    )

    def __init__(
        self,
        context: ServiceContext,
        sock: StreamSocket,
        peer: Any,
        connection_id: int,
        tls: TlsFacts | None = None,
        local: Endpoint | None = None,
    ) -> None:
        now = context.reactor.now
        self._context = context
        self._counters = context.counters
        # The context itself, or what makes messages for it out of the bytes.
        self.receiver: ServiceContext | FramedInput = context
        self.socket = sock
        self.arrivals: Arrivals = context.dispatcher.arrivals
        self._peer = peer
        self._local = local
        self._accepted_at = now
        self.active_at = now
        self._phase = CloseState.OPEN
        self._reason = CloseReason.PEER
        self._read_size = READ_BYTES
        # What was read when nobody wanted it any more, in that very turn.
        self._kept: bytes | None = None
        self._outgoing: SendBuffer | None = None
        # What is sent while it is corked.
        self._gathered: bytearray | None = None
        # Open, nothing queued, not corked: all that most sends have to know.
        self._sends_at_once = True
        self._interest = 0
        self._paused = False
        self._held = False
        # Whether the plugins want what the client sends now.
        self.takes_input = True
        # Whether an async hook works for this client.
        self.busy = False
        self._eof_received = False
        self._eof_wanted = False
        self._idle_seconds = context.limits.idle_timeout
        # The idle timer while open, the end of all patience afterwards.
        self._deadline: TimerHandle | None = None
        self._timers: PluginTimers | None = None
        self.connection = Connection(connection_id, context.name, time.time(), self, tls)

    def open(self) -> None:
        """Tell the plugins of the new connection, then read it."""
        self._context.chain.connect(self.connection)
        if self._phase is CloseState.OPEN and self._deadline is None:
            self._watch_idle()
        self._update_interest()

    # What the inbox calls.

    def take_aside(self, data: bytes | None) -> None:
        """Take what is no input for the plugins: an end, or what came before they wanted no more."""
        if data is None:
            self._end(CloseReason.PEER)
        elif self._phase is not CloseState.OPEN:
            if not data:
                self._discarded_all()
        elif self.takes_input:
            self._peer_finished()
        else:
            self._kept = data

    def receive_failed(self, raised: BaseException) -> None:
        """Take what came out of the receive chain."""
        self._context.receive_failed(self.connection, raised)

    def filled_a_read(self, received: int) -> None:
        """Read more at a time if a client sends as much as was asked for, or, by TLS, even more."""
        if received >= self._read_size:
            self._read_at_most(min(4 * self._read_size, self._largest_read()))

    def _largest_read(self) -> int:
        return _LARGEST_FRAMED_READ if isinstance(self.receiver, FramedInput) else _LARGEST_READ

    def _read_at_most(self, size: int) -> None:
        was_quick, self._read_size = self._reads_quickly, size
        if self._reads_quickly != was_quick:
            self._update_interest()

    @property
    def _reads_quickly(self) -> bool:
        """Whether the reactor reads for it."""
        return self._read_size == READ_BYTES

    # What the reactor calls.

    def _ready(self, events: int) -> None:
        if events & WRITE:
            self._flush()
        if events & READ and self._interest & READ:
            if self._phase is CloseState.OPEN:
                self._read()
            else:
                self._discard()

    def _read(self) -> None:
        size = self._read_size
        try:
            data: bytes | None = self.socket.recv(size)
        except BlockingIOError:
            return
        except OSError:
            data = None
        self._context.dispatcher.give([(self, data)])
        if data and len(data) < READ_BYTES and size == self._read_size:
            self._read_at_most(max(size // 4, READ_BYTES))

    # What a connection asks for.

    def send(self, data: bytes | bytearray | memoryview) -> bool:
        """Give bytes to the kernel, and queue what it does not take."""
        if not self._sends_at_once or type(data) is not bytes:
            return self._send_otherwise(data)
        try:
            sent = self.socket.send(data)
        except BlockingIOError:
            return self._queue(data, 0)
        except OSError:
            self._end(CloseReason.PEER)
            return False
        # As `_count_sent` does: every message comes this way, and is spared the call.
        self.connection.bytes_out += sent
        self._counters.bytes_out += sent
        self.active_at = self._context.reactor.now
        return sent == len(data) or self._queue(data, sent)

    def _send_otherwise(self, data: bytes | bytearray | memoryview) -> bool:
        if self._gathered is not None and type(data) is bytes:
            return self._gather(data)
        if self._phase is not CloseState.OPEN or self._eof_wanted:
            return False
        if type(data) is not bytes:
            return self.send(memoryview(data).tobytes())
        return self._queue(data, 0)

    def _gather(self, data: bytes) -> bool:
        assert self._gathered is not None
        if len(data) > _MOST_GATHERED:
            # As it is, not copied behind what is little.
            self.uncork()
            taken = self.send(data)
            self.cork()
            return taken
        self._gathered += data
        return len(self._gathered) <= _MOST_GATHERED or self.cork()

    def cork(self) -> bool:
        """Send what was gathered, and gather what is sent from now on, unless something waits for the kernel anyway.

        Returns False when the client proves to be gone.
        """
        self.uncork()
        if self._sends_at_once:
            self._gathered = bytearray()
            self._sends_at_once = False
        return self.is_open

    def uncork(self) -> None:
        """Send what was gathered, and from now on everything at once."""
        gathered, self._gathered = self._gathered, None
        self._look_how_to_send()
        if gathered:
            self.send(bytes(gathered))

    def _look_how_to_send(self) -> None:
        is_quiet = not (self._outgoing or self._eof_wanted) and self._gathered is None
        self._sends_at_once = is_quiet and self._phase is CloseState.OPEN

    def close(self) -> None:
        """Flush, FIN, wait for the client's end."""
        self.close_for(CloseReason.LOCAL)

    def close_for(self, reason: CloseReason, seconds: float | None = None) -> None:
        """Close as `close()` does, for another reason or with another deadline than the service's."""
        self.uncork()
        if self._phase is CloseState.CLOSED:
            return
        if self._phase is CloseState.OPEN:
            self._phase = CloseState.FLUSHING
            self._look_how_to_send()
            self._reason = reason
            self._cancel_timers()
            if not self._outgoing:
                self._finish_sending()
            else:
                self._update_interest()
        if self._phase is not CloseState.CLOSED:
            limit = self._context.limits.close_timeout if seconds is None else seconds
            if self._deadline is not None:
                self._deadline.cancel()
            self._deadline = self._context.reactor.call_later(limit, self.abort)

    def abort(self) -> None:
        """Reset the connection now."""
        if self._phase is CloseState.CLOSED:
            return
        reason = CloseReason.LOCAL if self._phase is CloseState.OPEN else self._reason
        self._reset(reason)

    def send_eof(self) -> None:
        """Half-close once everything queued is sent."""
        self.uncork()
        if self._phase is CloseState.OPEN and not self._eof_wanted:
            self._eof_wanted = True
            self._look_how_to_send()
            if not self._outgoing:
                self._shut_sending()

    def pause(self) -> None:
        """Stop reading."""
        self._paused = True
        self._update_interest()

    def resume(self) -> None:
        """Read again."""
        self._paused = False
        self._update_interest()

    @property
    def framing(self) -> Framing | None:
        """What makes messages out of the bytes."""
        return self.receiver.framing if isinstance(self.receiver, FramedInput) else None

    @framing.setter
    def framing(self, framing: Framing | None) -> None:
        if isinstance(self.receiver, FramedInput):
            self.receiver.change(framing)
        elif framing is not None:
            self.receiver = FramedInput(self, self._context, framing)
            self._read_at_most(READ_BYTES)

    def when_drained(self, tell: Callable[[bool], object]) -> None:
        """Call `tell(True)` when few bytes are queued, at once if they are, or `tell(False)` when all is over."""
        if self._outgoing is None or self.queued <= FEW:
            tell(self._phase is not CloseState.CLOSED)
        else:
            self._outgoing.when_few(tell)

    # What works for this client between turns.

    def hold(self, held: bool) -> None:
        """Read nothing more while much waits to be worked on."""
        self._held = held
        self._update_interest()

    def set_busy(self, busy: bool) -> None:
        """Keep a client that sent its end as long as an answer is made, and one that is silent as long as that."""
        self.busy = busy
        if busy:
            return
        if isinstance(self.receiver, FramedInput) and self.receiver.pending:
            self.receiver.go_on()
            self._update_interest()
        self._end_if_served()

    def read_raw(self) -> None:
        """Give the bytes to the service as they come."""
        self.receiver = self._context

    def read_on(self) -> None:
        """Read, or not, according to what still waits to be given."""
        self._update_interest()
        self._end_if_served()

    def call_later(self, seconds: float, function: Callable[..., object], *args: Any) -> PluginTimer:
        """Call a plugin's function later, unless the connection ends before."""
        if self._timers is None:
            self._timers = PluginTimers(self._context.reactor, self._timer_failed)
        timer = self._timers.call_later(seconds, function, args)
        if self._phase is not CloseState.OPEN:
            timer.cancel()
        return timer

    @property
    def peer(self) -> Endpoint:
        """The client's end."""
        if not isinstance(self._peer, Endpoint):
            self._peer = endpoint(self._peer)
        peer: Endpoint = self._peer
        return peer

    @property
    def local(self) -> Endpoint:
        """Our end."""
        if self._local is None:
            try:
                self._local = endpoint(self.socket.getsockname())
            except OSError:
                return Endpoint("", 0)
        return self._local

    @property
    def age(self) -> float:
        """Seconds since the connection was accepted."""
        return self._context.reactor.now - self._accepted_at

    @property
    def queued(self) -> int:
        """Bytes that wait for the kernel."""
        return len(self._outgoing or self._gathered or b"")

    @property
    def phase(self) -> CloseState:
        """How far the end has come."""
        return self._phase

    @property
    def is_open(self) -> bool:
        """Whether what the client sends is for the plugins."""
        return self._phase is CloseState.OPEN

    @property
    def idle_timeout(self) -> float | None:
        """Seconds without a byte either way that end the connection."""
        return self._idle_seconds

    @idle_timeout.setter
    def idle_timeout(self, seconds: float | None) -> None:
        if seconds is not None and checked_seconds(seconds) < 0:
            raise ValueError(f"idle_timeout must not be negative, as {seconds!r} seconds are")
        self._idle_seconds = seconds or None
        if self._phase is CloseState.OPEN:
            if self._deadline is not None:
                self._deadline.cancel()
                self._deadline = None
            self._watch_idle()

    # Sending.

    def _queue(self, data: bytes, start: int) -> bool:
        if self._outgoing is None:
            self._outgoing = SendBuffer()
        if len(self._outgoing) > self._context.limits.max_send_buffer:
            self._context.overflowed(self.connection)
            self._reset(CloseReason.OVERFLOW)
            return False
        self._outgoing.add(data, start)
        self._look_how_to_send()
        self._update_interest()
        return True

    def _flush(self) -> None:
        if self._outgoing is not None:
            try:
                with self._outgoing.first() as first:
                    sent = self.socket.send(first)
            except BlockingIOError:
                return
            except OSError:
                self._end(CloseReason.PEER)
                return
            self._outgoing.drop(sent)
            self._count_sent(sent)
        if not self._outgoing:
            self._outgoing = None
            self._look_how_to_send()
            self._sent_all()
        self._update_interest()

    def _sent_all(self) -> None:
        if self._phase is CloseState.FLUSHING:
            self._finish_sending()
        elif self._eof_wanted:
            self._shut_sending()
        self._end_if_served()

    def _count_sent(self, sent: int) -> None:
        self.connection.bytes_out += sent
        self._counters.bytes_out += sent
        self.active_at = self._context.reactor.now

    def _finish_sending(self) -> None:
        if self._eof_received:
            self._end(self._reason)
        elif self._shut_sending():
            self._phase = CloseState.LINGERING
            self._update_interest()

    def _shut_sending(self) -> bool:
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self._end(self._reason)
            return False
        return True

    # Ending.

    def _peer_finished(self) -> None:
        self._eof_received = True
        self._end_if_served()
        if self._phase is CloseState.OPEN:
            self._update_interest()
            if self.busy:
                self._watch_silence()

    def _watch_silence(self) -> None:
        # Nobody tells a client that has gone from one that still reads: a hook that sends nothing is not waited for.
        if self._deadline is not None:
            self._deadline.cancel()
        limit = self._context.limits.close_timeout
        self._deadline = self._context.reactor.call_at(self.active_at + limit, self._silence_due)

    def _silence_due(self) -> None:
        self._deadline = None
        if self._phase is not CloseState.OPEN:
            return
        if self._context.reactor.now - self.active_at >= self._context.limits.close_timeout:
            self._end(CloseReason.PEER)
        else:
            self._watch_silence()

    def _end_if_served(self) -> None:
        """End the connection of a client that sent its end and has had all its answers."""
        if not self._eof_received or self._phase is not CloseState.OPEN or self.busy:
            return
        if self._outgoing or self._gathered:
            return
        if not (isinstance(self.receiver, FramedInput) and self.receiver.pending):
            self._end(CloseReason.PEER)

    def _discard(self) -> None:
        """Read past what a client still sends while we close, so that its last bytes from us are not reset."""
        try:
            data = self.socket.recv(_DISCARDED_READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._discarded_all()

    def _discarded_all(self) -> None:
        self._eof_received = True
        if self._phase is CloseState.LINGERING or not self._outgoing:
            self._end(self._reason)
        else:
            self._update_interest()

    def _reset(self, reason: CloseReason) -> None:
        # Fails only where there is nothing left to reset.
        with contextlib.suppress(OSError):
            reset_on_close(self.socket)
        self._end(reason)

    def _end(self, reason: CloseReason) -> None:
        if self._phase is CloseState.CLOSED:
            return
        if self._phase is not CloseState.OPEN:
            reason = self._reason
        if self._interest:
            self._context.reactor.unregister(self.socket.fileno())
            self._interest = 0
        self._phase = CloseState.CLOSED
        self.takes_input = False
        self.socket.close()
        outgoing, self._outgoing = self._outgoing, None
        self._gathered = self._kept = None
        self._look_how_to_send()
        if outgoing is not None:
            outgoing.tell_waiters(is_open=False)
        self._cancel_timers()
        if self._deadline is not None:
            self._deadline.cancel()
        # A plugin may be at work on this connection further up the stack: its close hook comes after that.
        self._context.reactor.call_soon(self._context.closed, self, reason)

    def _cancel_timers(self) -> None:
        if self._timers is not None:
            self._timers.cancel_all()

    def _timer_failed(self, error: Exception) -> None:
        self._context.hook_failed(self._context.chain.plugin_of(error), "timer", self.connection, error)

    # Waiting.

    def _watch_idle(self) -> None:
        # One timer a connection, which looks at the last activity when it is due: a message touches no timer.
        if self._idle_seconds is not None:
            self._deadline = self._context.reactor.call_at(self.active_at + self._idle_seconds, self._idle_due)

    def _idle_due(self) -> None:
        self._deadline = None
        if self.busy:
            self.active_at = self._context.reactor.now
        if self._phase is CloseState.OPEN and self._is_idle() and self._interest & READ:
            # A turn that had no room for this client may have left something unread.
            self._read()
        self._close_if_idle()

    def _close_if_idle(self) -> None:
        if self._phase is not CloseState.OPEN or self._deadline is not None:
            return
        if self._is_idle():
            self.close_for(CloseReason.IDLE)
        else:
            self._watch_idle()

    def _is_idle(self) -> bool:
        return self._idle_seconds is not None and self._context.reactor.now - self.active_at >= self._idle_seconds

    def _update_interest(self) -> None:
        phase = self._phase
        if phase is CloseState.CLOSED:
            return
        wanted = 0
        throttled = self._outgoing is not None and self._outgoing.is_much
        self.takes_input = phase is CloseState.OPEN and not (throttled or self._paused or self._held)
        # Who is being closed is read whatever a plugin wants: see `_discard`.
        reads = self.takes_input or phase is not CloseState.OPEN
        if reads and not (self.takes_input and self._has_pending()) and not self._eof_received:
            wanted = READ
        if self._outgoing:
            wanted |= WRITE
        self._watch(wanted)

    def _watch(self, wanted: int) -> None:
        if wanted == READ and self._reads_quickly and self._phase is CloseState.OPEN:
            wanted |= _BY_REACTOR
        if wanted == self._interest:
            return
        reactor = self._context.reactor
        descriptor = self.socket.fileno()
        if not wanted:
            reactor.unregister(descriptor)
        elif wanted & _BY_REACTOR:
            if self._interest:
                reactor.modify_to_stream(descriptor, self)
            else:
                reactor.register_stream(descriptor, self)
        elif self._interest:
            reactor.modify(descriptor, wanted, self._ready)
        else:
            reactor.register(descriptor, wanted, self._ready)
        self._interest = wanted

    def _give_kept(self) -> None:
        if self._kept is not None and self.takes_input:
            data, self._kept = self._kept, None
            self._context.dispatcher.give([(self, data)])
            self._update_interest()

    def _has_pending(self) -> bool:
        """Tell whether something waits that comes before what can be read; it is given soon, or after a busy hook."""
        if self._kept is not None:
            self._context.reactor.call_soon(self._give_kept)
            return True
        if not (isinstance(self.receiver, FramedInput) and self.receiver.waiting):
            return False
        if not self.busy:
            self.receiver.go_on_soon()
        return True
