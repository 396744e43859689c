"""TLS on a connection that has begun in plain text (STARTTLS).

    plain text --start()--> what is queued is sent --> handshake --> TLS, on a socket of another class
                                                          `--failed--> flush, FIN, as for any close

During both steps the transport's socket is a `StartingSocket`, which neither reads nor writes, and its registration
belongs to the steps. What is sent meanwhile waits in the send buffer, and is encrypted. TLS_HANDSHAKE in `held` stands
for all of that.

Nothing of the plain text may be interpreted as if it had come through TLS: it could be that of an attacker, who has
sent it ahead of the victim's handshake (CVE-2011-0411). It waits in one of five places. Four are looked at when the
handshake begins: input that was kept, the framing, the queue of async hooks, the reader of a stream handler. The fifth,
what the reactor has read in this turn, is kept by the dispatcher, and is looked at when the handshake has ended. What
the kernel has is read by the handshake, to which plain text is an error.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from reactorhost.api.close_reason import CloseReason
from reactorhost.api.tls_start import TlsFailedError, TlsStart
from reactorhost.reactor import WRITE
from reactorhost.reactor.steps import NoDataError, Step, StepError, StepRunner, TlsHandshakeError
from reactorhost.tls.facts import TlsFacts
from reactorhost.tls.role import TlsRole
from reactorhost.worker.stream import ending, receiving, sending
from reactorhost.worker.stream.closing import OPEN, CloseEvent
from reactorhost.worker.stream.file_part import FilePartError
from reactorhost.worker.stream.framed_input import FramedInput
from reactorhost.worker.stream.protocol import Stream
from reactorhost.worker.stream.send_buffer import SendBuffer
from reactorhost.worker.stream.socket import StreamSocket
from reactorhost.worker.stream.states import BROKEN, FIN_PENDING, QUEUED, TLS_HANDSHAKE

if TYPE_CHECKING:
    from ssl import SSLContext

    from reactorhost.tls.socket import TlsSocket

OnResult = Callable[[TlsFacts], object]


def start(
    stream: Stream,
    context: SSLContext | None,
    server_name: str | None,
    on_result: OnResult | None,
    role: TlsRole | None = None,
) -> TlsStart:
    """Begin TLS, by default in the role of the service; see `Connection.start_tls`."""
    if stream.connection.tls is not None:
        raise RuntimeError("the connection has TLS already")
    if stream.held & TLS_HANDSHAKE:
        raise RuntimeError("the connection has begun TLS already")
    if stream.close_state is OPEN and BROKEN > stream.send_state >= FIN_PENDING:
        raise RuntimeError("the connection cannot begin TLS after send_eof()")
    if stream.close_state is not OPEN:
        return not_started(stream.variables)
    service, plain = stream.context, cast("Any", stream.socket)
    on_broken = partial(service.client_log.tls_broken, stream.connection)
    tls = (role or service.tls_role).wrap(service.reactor, plain, on_broken, context, server_name)
    started = TlsStart()
    if _input_waits(stream):
        _refuse(stream, started)
        return started
    # It may fail, or find that too much is queued.
    sending.uncork(stream)
    if stream.close_state is not OPEN or stream.send_state is BROKEN:
        stream.close_for(CloseReason.TLS)
        return not_started(stream.variables)
    StartingSocket(stream, plain, tls, started, on_result).begin()
    return started


def can_start(stream: Stream) -> bool:
    """Return whether `start` would begin a handshake now without a context; see `Connection.can_start_tls`."""
    begins = stream.close_state is OPEN and stream.send_state < FIN_PENDING and not stream.held & TLS_HANDSHAKE
    return begins and stream.connection.tls is None and stream.context.tls_role.has_defaults


def not_started(variables: Context) -> TlsStart:
    """Return a handshake that has failed before it could begin, for a connection with this context."""
    started = TlsStart()
    started.set_exception(TlsFailedError("the connection has ended before its TLS handshake", variables))
    return started


def _input_waits(stream: Stream) -> bool:
    framed = isinstance(stream.receiver, FramedInput) and stream.receiver.holds_input()
    return framed or bool(stream.kept) or stream.context.input_waits(stream.connection)


def _refuse(stream: Stream, started: TlsStart) -> None:
    """Close a connection with plain text behind the request for TLS."""
    stream.context.client_log.tls_injected(stream.connection)
    ending.close(stream, CloseReason.TLS)
    started.set_exception(_failure(stream, "it sent plain text behind the request for TLS"))


def _failure(stream: Stream, reason: str) -> TlsFailedError:
    return TlsFailedError(f"no TLS with {stream.connection.peer}: {reason}", stream.variables)


@dataclass(slots=True, eq=False, repr=False)
class StartingSocket:
    """The socket of a connection whose TLS handshake runs; `socket` is the one below, and `tls` the one to come."""

    stream: Stream
    socket: StreamSocket
    tls: TlsSocket
    started: TlsStart
    on_result: OnResult | None
    _unsent: SendBuffer | None = field(default=None, init=False)
    # None once the steps have ended: each refers to the other.
    _runner: StepRunner[TlsFacts | StepError | OSError] | None = field(default=None, init=False)

    def begin(self) -> None:
        """Take the place of the connection's socket, and run the steps."""
        stream, reactor = self.stream, self.stream.context.reactor
        if stream.interest:
            reactor.unregister(self.socket.fileno())
            stream.interest = 0
        stream.held |= TLS_HANDSHAKE
        stream.socket = self
        # There is one during the whole handshake, so that an end waits for it as for any bytes that are queued.
        self._unsent, stream.buffer = stream.buffer, SendBuffer()
        stream.send_state = QUEUED
        self._runner = runner = StepRunner(reactor, self.socket, self._steps(), self._ended, self._ended)
        runner.begin(reactor.now + stream.context.limits.handshake_timeout)

    def _steps(self) -> Step[TlsFacts | StepError | OSError]:
        # An error is returned, because the runner closes the socket of a step that raises.
        try:
            yield from self._send_unsent()
            return (yield from self.tls.handshake(_ignore, lingers=False))
        except NoDataError:
            return TlsHandshakeError("it closed the connection before its handshake")
        except (StepError, FilePartError) as error:
            return error
        except OSError as error:
            return TlsHandshakeError(f"the connection failed before its handshake: {error.strerror}")

    def _send_unsent(self) -> Step[None]:
        """Send what was queued in plain text."""
        while self._unsent:
            try:
                sending.send_first(self.stream, self._unsent, self.socket)
            except BlockingIOError:
                try:
                    yield WRITE
                except TimeoutError:
                    raise TlsHandshakeError("it does not read what was sent before the handshake") from None

    def _ended(self, result: TlsFacts | StepError | OSError) -> None:
        self._runner = None
        if isinstance(result, TlsFacts) and not self.stream.kept:
            self._succeeded(result)
        else:
            self._failed(result)

    def _failed(self, result: TlsFacts | StepError | OSError) -> None:
        stream = self.stream
        stream.socket = self.socket
        stream.held &= ~TLS_HANDSHAKE
        buffer, stream.buffer = stream.buffer, None
        if stream.kept:
            _refuse(stream, self.started)
        elif isinstance(result, FilePartError):
            sending.file_failed(stream, result)
            self.started.set_exception(_failure(stream, "it was reset"))
        else:
            stream.context.client_log.tls_failed(stream.connection, str(result))
            ending.close(stream, CloseReason.TLS)
            self.started.set_exception(_failure(stream, str(result)))
        # One that was being closed has waited for the handshake.
        stream.advance(CloseEvent.ALL_SENT)
        receiving.watch(stream)
        for each in (self._unsent, buffer):
            if each is not None:
                each.abandon()

    def _succeeded(self, facts: TlsFacts) -> None:
        stream = self.stream
        stream.socket = self.tls
        stream.connection.tls = facts
        receiving.release(stream, TLS_HANDSHAKE)
        # Registers for writing too, and that sends what is queued, or sets the state of one that has sent nothing.
        receiving.watch(stream)
        self.started.set_result(facts)
        if self.on_result is not None:
            # At the end of the turn: a peer that answers within `begin` does so while a hook calls `start_tls`.
            stream.context.reactor.call_soon(self._call_result, self.on_result, facts)

    def _call_result(self, on_result: OnResult, facts: TlsFacts) -> None:
        if self.stream.close_state is OPEN:
            self.stream.call_now(on_result, facts)

    # As a socket that is not ready.

    def recv(self, size: int, /) -> bytes:
        """Raise BlockingIOError: only the handshake reads."""
        raise BlockingIOError

    def send(self, data: bytes | memoryview, /) -> int:
        """Raise BlockingIOError: only the handshake writes."""
        raise BlockingIOError

    def shutdown(self, how: int, /) -> None:
        """Shut the socket below down."""
        self.socket.shutdown(how)

    def setsockopt(self, level: int, option: int, value: bytes, /) -> None:
        """Set an option of the socket below."""
        self.socket.setsockopt(level, option, value)

    def getsockopt(self, level: int, option: int, size: int, /) -> bytes:
        """Return an option of the socket below."""
        return self.socket.getsockopt(level, option, size)

    def getsockname(self) -> Any:
        """Return the local address."""
        return self.socket.getsockname()

    def fileno(self) -> int:
        """Return the socket's descriptor."""
        return self.socket.fileno()

    def close(self) -> None:
        """Give up the handshake, and close the socket."""
        self.stream.socket = self.socket
        runner, self._runner = self._runner, None
        if runner is not None:
            runner.end()
        ended = "the connection has ended during its TLS handshake"
        self.started.set_exception(TlsFailedError(ended, self.stream.variables))
        if self._unsent is not None:
            self._unsent.abandon()


def _ignore(error: TlsHandshakeError) -> None:
    """Do nothing: what the handshake raises is logged once its alert is sent."""
