"""Steps that a socket takes before its connection begins, such as a TLS handshake, without blocking.

A step is a generator. It yields what its socket has to be ready for, `READ` or `WRITE`, and returns its result; steps
are chained by `yield from`. An exception ends the whole. At the deadline `TimeoutError` is raised inside the step, so
that it can say what it was waiting for.
"""

from __future__ import annotations

import inspect
import socket
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from reactorhost.reactor import READ, WRITE, Reactor, TimerHandle

_DISCARD_BYTES = 64 * 1024
_MOST_DISCARDED = 1 << 20

T = TypeVar("T")


class StepError(Exception):
    """A connection does not begin; the text says why, for the log."""


class ClientRefusedError(StepError):
    """The client that the PROXY header names is not admitted."""


class TlsHandshakeError(StepError):
    """A TLS handshake failed."""


class ProxyRefusedError(StepError):
    """The peer is not a listed proxy, or did not send a PROXY header."""


class SessionRefusedError(StepError):
    """The opening handshake of a session framing failed."""


class NoDataError(StepError):
    """The connection ended, or its time was over, before a byte arrived, as with a port scan or a health check."""


Step = Generator[int, None, T]
"""Raises `StepError` or `OSError`."""


class Descriptor(Protocol):
    """A socket, as far as a step runner needs one."""

    def fileno(self) -> int: ...
    def close(self) -> None: ...


class ByteStream(Protocol):
    """A socket that does not block, plain or with TLS."""

    def recv(self, size: int, /) -> bytes: ...
    def send(self, data: bytes, /) -> int: ...
    def shutdown(self, how: int, /) -> None: ...


def send_all(sock: ByteStream, data: bytes) -> Step[None]:
    """Send all of `data`."""
    while data:
        try:
            data = data[sock.send(data) :]
        except BlockingIOError:
            yield WRITE


def finish(sock: ByteStream) -> Step[None]:
    """End the sending half behind the last words, and read what is on its way here, up to a limit.

    Closing a socket that has unread data sends a reset, which may overtake the last words: the peer would report a
    reset and not the reason.
    """
    sock.shutdown(socket.SHUT_WR)
    discarded = 0
    while discarded < _MOST_DISCARDED:
        try:
            data = sock.recv(_DISCARD_BYTES)
        except BlockingIOError:
            yield READ
            continue
        if not data:
            return
        discarded += len(data)


@dataclass(slots=True, eq=False, repr=False)
class StepRunner(Generic[T]):
    """Runs the steps of one socket.

    When they have returned, `done` is called with their result and owns the socket from then on. When they failed,
    the socket is closed and `failed` is called with the exception.
    """

    reactor: Reactor
    socket: Descriptor
    step: Step[T] | None
    done: Callable[[T], object]
    failed: Callable[[StepError | OSError], object]
    _interest: int = field(default=0, init=False)
    _deadline: TimerHandle | None = field(default=None, init=False)

    def begin(self, deadline: float) -> None:
        """Run as far as possible now and whenever the socket is ready, until `deadline` of the reactor's clock."""
        self._deadline = self.reactor.call_at(deadline, self._expired)
        self._advance(0)

    def end(self) -> None:
        """Close the socket without a call of `done` or `failed`; without effect when the steps have ended."""
        step = self._release()
        if step is not None:
            # A plugin's callback of its TLS context may end the connection from within the step.
            if inspect.getgeneratorstate(step) != inspect.GEN_RUNNING:
                step.close()
            self.socket.close()

    def _advance(self, ready: int) -> None:
        if self.step is not None:
            wanted = self._run(self.step.send, None)
            if wanted:
                self._watch(wanted)

    def _expired(self) -> None:
        self._deadline = None
        assert self.step is not None
        error = TimeoutError("it took too long")
        if self._run(self.step.throw, error):
            self._fail(error)

    def _run(self, resume: Callable[[Any], int], argument: object) -> int:
        """Continue the step, and return what it waits for; 0 when it has ended."""
        wanted = 0
        try:
            wanted = resume(argument)
        except StopIteration as finished:
            if self._release() is not None:
                self.done(finished.value)
        except (StepError, OSError) as error:
            if self.step is not None:
                self._fail(error)
        return 0 if self.step is None else wanted

    def _fail(self, error: StepError | OSError) -> None:
        self.end()
        self.failed(error)

    def _watch(self, wanted: int) -> None:
        if wanted == self._interest:
            return
        if self._interest:
            self.reactor.modify(self.socket.fileno(), wanted, self._advance)
        else:
            self.reactor.register(self.socket.fileno(), wanted, self._advance)
        self._interest = wanted

    def _release(self) -> Step[T] | None:
        """Release the reactor's resources; returns the step, None the second time."""
        step, self.step = self.step, None
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if self._interest:
            self.reactor.unregister(self.socket.fileno())
            self._interest = 0
        return step
