"""The stream transport: moves bytes between one socket and one connection.

Theory of operation. A message takes a short path: the reactor reads, the dispatcher calls `receive` of the service or
of the framing, the plugin calls `send`, and `send` calls the kernel. Everything else is in three states. On that path
`held` and `send_state` are tested once each, and are 0.

- `held` (`Hold`): why input is not delivered. `hold` and `release` call epoll on the edge between 0 and not 0 only. A
  connection that is held stays registered without events, because epoll reports errors and hang-ups of such a
  descriptor too: a paused client that is reset ends, and does not wait for `resume`. Once reported it is unregistered,
  for a hang-up is level-triggered.
- `send_state` (`Send`): what `send` does; the module `sending` has all states but DIRECT.
- `close_state` (`CloseState`): how far the end has come. The table is in `closing`, and `advance` is the only place
  that changes it. Closing has three steps (flush, FIN, wait for the client's end), because a socket that is closed over
  unread input sends a reset, and the reset can overtake the last bytes.

The two halves end separately (`ending`). A failed send breaks the sending half: `send` returns False from then on,
and what the client had sent is received to its end. That works because Linux keeps the receive queue of a connection
that was reset: `recv` returns what is in it, and only then the error, or an end when a `send` has consumed the error. A
FIN ends the receiving half, and the connection stays open until the client has its answers.

Order: input that was read before a hold is delivered before what is read after it. It waits as `kept` (read in the turn
in which another client's hook paused this one) or in the framing, and `kept` goes behind what the framing has. Either
sets INPUT_PENDING. While an async hook runs, `owed` counts it, and its end continues with what waits.

Races: epoll may have reported an event before the registration changed in the same turn. So `ready` compares events
with `interest`, and `ending` asks the kernel about a hang-up. A plugin may be at work on this connection further up
the stack when it ends: `close` hooks are called at the end of the turn.

An idle connection is this object, its `Connection` and a socket. The send buffer, corked bytes, the framing, timers of
the plugin and the close progress are made when they are needed.
"""

from __future__ import annotations

import time
from contextvars import Context
from dataclasses import InitVar, dataclass, field
from typing import Any

from reactorhost.address import Endpoint
from reactorhost.api.close_reason import CloseReason
from reactorhost.api.connection import Connection, replace_transport
from reactorhost.api.peer_credentials import PeerCredentials
from reactorhost.api.proxy_facts import ProxyFacts
from reactorhost.framing import Framing
from reactorhost.ipc.counters import Counters
from reactorhost.reactor import READ, READ_BYTES, WRITE, Arrivals, TimerHandle
from reactorhost.tls.facts import TlsFacts
from reactorhost.worker.context import ServiceContext
from reactorhost.worker.hooks.timers import PluginTimers, checked_timeout
from reactorhost.worker.hooks.variables import HookRunner
from reactorhost.worker.stream import (
    deadlines,
    ending,
    files,
    pauses,
    peer_facts,
    plugin_timers,
    receiving,
    sending,
    starttls,
)
from reactorhost.worker.stream.closed import ClosedTransport
from reactorhost.worker.stream.closing import OPEN, CloseEvent, CloseProgress, CloseState
from reactorhost.worker.stream.framed_input import FramedInput, replaceable
from reactorhost.worker.stream.protocol import HANG_UP, protocol_of
from reactorhost.worker.stream.send_buffer import SendBuffer
from reactorhost.worker.stream.socket import NO_ENDPOINT, StreamSocket, endpoint
from reactorhost.worker.stream.states import DIRECT, HOOK_BACKLOG, Send


@dataclass(slots=True, eq=False, repr=False)
class StreamTransport:
    """The owner of one connection's socket.

    Attributes:
        receiver: what the dispatcher calls: the service's context, or the framing that makes messages for it.
        variables: the context in which the hooks and timers run.
        runner: calls the hooks in it.
        held: why input is not delivered, as `Hold`; 0 while it is.
        owed: how many calls of async hooks run or wait.
        kept: input that was read and is not delivered yet, or None.
        corked: bytes that are collected in the state CORKED.
        active_at: when bytes were last received or sent, or a hook of this client has ended.
        deadline: see `deadlines`.
        idle_seconds: the idle timeout, or None.
        full_duplex: whether SEND_FULL is no reason to hold.
    """

    context: ServiceContext
    socket: StreamSocket
    # As the socket module returns it, and an `Endpoint` once a plugin has read it, which most never do.
    _peer: Any
    connection_id: InitVar[int]
    tls: InitVar[TlsFacts | None] = None
    _local: Endpoint | None = None
    connection: Connection = field(init=False)
    receiver: ServiceContext | FramedInput = field(init=False)
    arrivals: Arrivals = field(init=False)
    variables: Context = field(init=False)
    runner: HookRunner = field(init=False)
    held: int = field(default=0, init=False)
    send_state: Send = field(default=DIRECT, init=False)
    close_state: CloseState = field(default=OPEN, init=False)
    owed: int = field(default=0, init=False)
    buffer: SendBuffer | None = field(default=None, init=False)
    corked: bytearray | None = field(default=None, init=False)
    kept: bytes | None = field(default=None, init=False)
    active_at: float = field(init=False)
    idle_seconds: float | None = field(init=False)
    deadline: TimerHandle | None = field(default=None, init=False)
    read_size: int = field(default=READ_BYTES, init=False)
    interest: int = field(default=0, init=False)
    full_duplex: bool = field(default=False, init=False)
    progress: CloseProgress | None = field(default=None, init=False)
    _accepted_at: float = field(init=False)
    _counters: Counters = field(init=False)
    timers: PluginTimers | None = field(default=None, init=False)

    def __post_init__(self, connection_id: int, tls: TlsFacts | None) -> None:
        context = self.receiver = self.context
        self.arrivals = context.dispatcher.arrivals
        self.variables = context.variables.copy()
        self.runner = context.runner(self.variables)
        self.active_at = self._accepted_at = context.reactor.now
        self.idle_seconds = context.limits.idle_timeout
        # Every message adds to them: one attribute access less is measurable.
        self._counters = context.counters
        self.connection = Connection(connection_id, context.name, time.time(), self, tls)

    def open(self) -> None:
        """Call the `connect` hooks, then read."""
        self.runner.run(self.context.chain.connect, self.connection)
        if self.close_state is OPEN and self.deadline is None:
            deadlines.watch_open(self)
        receiving.watch(self)

    # What the dispatcher and the reactor call.

    def handle_undelivered(self, data: bytes | None) -> None:
        """Handle what the dispatcher does not deliver: an end, a broken connection, or input while this is held."""
        if data is None:
            ending.handle_reset(self)
        elif self.close_state is not OPEN:
            if not data:
                ending.handle_fin(self)
        elif self.held:
            receiving.keep(self, data)
        else:
            ending.handle_fin(self)

    def ready(self, events: int) -> None:
        """Handle what epoll reports, unless the reactor reads by itself."""
        if self.interest & HANG_UP:
            ending.handle_hang_up(self)
            return
        if events & WRITE:
            sending.flush(self)
        # The events may be those of a registration that this turn has changed already.
        if events & READ and self.interest & READ:
            if self.close_state is OPEN:
                receiving.read(self)
            else:
                receiving.discard(self)

    # The interface for `Connection`.

    def send(self, data: bytes | bytearray | memoryview) -> bool:
        """Pass bytes to the kernel, and queue what it does not accept."""
        # A bytearray can change while it waits, so anything but bytes is copied first.
        if self.send_state or type(data) is not bytes:
            return sending.send_slow(self, data)
        try:
            sent = self.socket.send(data)
        except BlockingIOError:
            return sending.enqueue(self, data, 0)
        except OSError:
            return ending.send_failed(self)
        # As in `sending.flush`, without a call: every message passes here.
        self.connection.bytes_out += sent
        self._counters.bytes_out += sent
        self.active_at = self.context.reactor.now
        return sent == len(data) or sending.enqueue(self, data, sent)

    def send_eof(self) -> None:
        """Close our half behind what is queued."""
        if self.close_state is OPEN:
            sending.finish(self)
            # Both halves may be over now.
            self.end_if_served()

    @property
    def framing(self) -> Framing | None:
        """What makes messages out of the bytes."""
        return self.receiver.framing if isinstance(self.receiver, FramedInput) else None

    @framing.setter
    def framing(self, framing: Framing | None) -> None:
        if isinstance(self.receiver, FramedInput):
            self.receiver.change(framing)
        elif framing is not None:
            self.receiver = FramedInput(self, self.context, replaceable(framing))
            receiving.set_read_size(self, READ_BYTES)

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
                return NO_ENDPOINT
        return self._local

    @property
    def peer_credentials(self) -> PeerCredentials | None:
        """Those of a unix peer."""
        return peer_facts.credentials(self)

    @property
    def proxy(self) -> ProxyFacts | None:
        """What the PROXY header says beside the addresses."""
        return peer_facts.proxy(self)

    @property
    def age(self) -> float:
        """Seconds since the connection was accepted."""
        return self.context.reactor.now - self._accepted_at

    @property
    def queued(self) -> int:
        """Bytes that wait for the kernel."""
        return len(self.buffer or self.corked or b"")

    @property
    def is_open(self) -> bool:
        """Whether what the client sends is for the plugins."""
        return self.close_state is OPEN

    @property
    def idle_timeout(self) -> float | None:
        """Seconds without a byte either way that end the connection."""
        return self.idle_seconds

    @idle_timeout.setter
    def idle_timeout(self, seconds: float | None) -> None:
        self.idle_seconds = checked_timeout(seconds)
        if self.close_state is OPEN:
            deadlines.watch_open(self)

    # What the dispatcher, the framing, the hook queue and the modules beside this one call. A function of these modules
    # is a method by assignment: a method that only forwards would be a second call.

    grow_reads = receiving.grow_reads
    input_waits = receiving.input_waits
    message_begun = deadlines.watch_message
    cork = sending.cork
    uncork = sending.uncork
    send_failed = ending.send_failed
    end_if_served = ending.end_if_served
    advance = ending.advance
    close_for = ending.close
    pause = pauses.pause
    throttle = pauses.throttle
    throttle_ended = pauses.throttle_ended
    resume = pauses.resume
    is_paused = property(pauses.is_paused)
    protocol = property(protocol_of)
    can_start_tls = property(starttls.can_start)
    when_drained = sending.when_drained
    set_full_duplex = sending.set_full_duplex
    call_later = plugin_timers.call_later
    call_now = plugin_timers.call_now
    create_task = plugin_timers.create_task
    cancel_timers = plugin_timers.cancel
    send_file = files.send_file
    start_tls = starttls.start

    def input_delivered(self) -> None:
        """Read again: nothing waits in the framing."""
        receiving.input_delivered(self)
        self.end_if_served()

    def read_raw(self) -> None:
        """Go on without a framing."""
        self.receiver = self.context

    def hold_for_hooks(self, held: bool) -> None:
        """Stop reading while much waits for the hooks, or read again."""
        (receiving.hold if held else receiving.release)(self, HOOK_BACKLOG)

    def set_owed(self, calls: int) -> None:
        """Set how many calls of hooks run or wait; after the last one, continue with what waits."""
        if calls < self.owed:
            # The client was not silent while the hook ran.
            self.active_at = self.context.reactor.now
        self.owed = calls
        if not calls:
            if self.receiver is not self.context:
                receiving.deliver_frames(self)
            if self.held:
                self.end_if_served()

    def close(self) -> None:
        """Flush, FIN, wait for the client's end."""
        self.context.plugin_closes(self.connection)
        self.close_for(CloseReason.LOCAL)

    def abort(self) -> None:
        """Reset the connection now."""
        self.context.plugin_closes(self.connection)
        self.advance(CloseEvent.ABORT, CloseReason.LOCAL)

    def release(self, context: ServiceContext | None = None) -> None:
        """Break the reference cycles of a connection that has ended, after its `close` hooks.

        From now on it refers to `context`, if that is passed, and not to its own.
        """
        self.receiver = self.context
        self.timers = None
        closed = ClosedTransport(
            context or self.context, self._peer, self._local or NO_ENDPOINT, self.age, self.variables
        )
        if self.context.credentials or self.context.proxies:
            closed.peer_credentials, closed.proxy = peer_facts.release(self)
        replace_transport(self.connection, closed)
