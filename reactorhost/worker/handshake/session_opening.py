"""The opening of a session: the handshake of a framing that speaks to the peer by itself, as steps on its socket.

It follows the PROXY header and the TLS handshake, and shares their deadline. What has arrived behind the peer's half
stays in the framing, and is delivered after the `connect` hooks.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass, field
from typing import TypeVar

from reactorhost.framing import Framing, FramingError, SessionFraming
from reactorhost.framing.contract import is_session
from reactorhost.reactor import READ, READ_BYTES
from reactorhost.reactor.steps import NoDataError, SessionRefusedError, Step, finish, send_all
from reactorhost.worker.stream.socket import StreamSocket

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class OpenedSession:
    """A session whose peer has completed its half of the handshake.

    Attributes:
        messages: those that have arrived behind it.
        bytes_in: bytes received so far.
        bytes_out: bytes sent so far.
    """

    framing: SessionFraming
    messages: Iterator[bytes]
    bytes_in: int
    bytes_out: int


@dataclass(slots=True, eq=False, repr=False)
class SessionOpening:
    """One opening handshake, between a socket and a new framing.

    `on_refused` is called with the reason when it has failed: after that, the peer may take its time with the answer.
    `on_raised` is called with what the framing raised, beside a FramingError. `variables` is the context in which the
    framing runs.
    """

    socket: StreamSocket
    new_framing: Callable[[], Framing]
    variables: Context
    on_refused: Callable[[str], object]
    on_raised: Callable[[BaseException], object]
    _framing: SessionFraming = field(init=False)
    _messages: Iterator[bytes] = field(default_factory=lambda: iter(()), init=False)
    _is_open: bool = field(default=False, init=False)
    _outgoing: bytes = field(default=b"", init=False)
    _bytes_in: int = field(default=0, init=False)
    _bytes_out: int = field(default=0, init=False)

    def run(self) -> Step[OpenedSession]:
        """Feed the framing until the peer's half is complete.

        Raises:
            SessionRefusedError: it failed; the peer was sent what the framing had to say about it.
            NoDataError: the peer sent nothing.
        """
        self._framing = self._call(self._begin)
        try:
            yield from self._flush()
            while not self._is_open:
                violation = self._call(self._feed, (yield from self._receive()))
                if violation is not None:
                    self.on_refused(violation)
                    yield from self._send_last()
                    raise SessionRefusedError(violation)
                yield from self._flush()
        except TimeoutError:
            if not self._bytes_in:
                raise NoDataError("it sent nothing in time") from None
            self._break_off("timeout")
            raise self._refused("its handshake did not complete in time") from None
        except OSError as error:
            raise self._refused(f"the connection failed during its handshake: {error.strerror}") from None
        except GeneratorExit:
            # The worker leaves.
            if self._bytes_in:
                self._break_off("shutdown")
            raise
        return OpenedSession(self._framing, self._messages, self._bytes_in, self._bytes_out)

    # What runs the framing.

    def _call(self, function: Callable[..., T], *args: object) -> T:
        try:
            return self.variables.run(function, *args)
        except BaseException as raised:  # noqa: BLE001  a plugin's framing may raise anything
            self.on_raised(raised)
            raise SessionRefusedError("its framing has failed") from None

    def _begin(self) -> SessionFraming:
        framing = self.new_framing()
        if not is_session(framing):
            raise TypeError(f"{framing!r} is not a session, and the first framing of the service was one")
        self._is_open = not framing.opening
        if not self._is_open:
            self._outgoing = framing.outgoing()
        return framing

    def _feed(self, data: bytes) -> str | None:
        """Feed the framing; returns in which way the peer has violated it."""
        framing = self._framing
        violation: FramingError | None = None
        messages: Iterator[bytes] = iter(())
        try:
            messages = iter(framing.feed(data))
            # A framing may do its work when it is iterated.
            for message in messages:
                if framing.opening:
                    raise RuntimeError(f"a {type(framing).__name__} has returned a message during its handshake")
                messages = itertools.chain((message,), messages)
                break
        except FramingError as error:
            violation = error
        self._is_open = not framing.opening
        if self._is_open:
            # Nothing is sent now: the answer of `accept` comes first. A violation behind the peer's half is one of the
            # session, which begins first.
            self._messages = messages if violation is None else _raising(violation)
            return None
        self._outgoing = framing.outgoing()
        if violation is None and framing.ended:
            return "it ended the session during its handshake"
        return None if violation is None else str(violation)

    def _close(self, reason: str) -> None:
        self._framing.closing(reason)
        self._outgoing = self._framing.outgoing()

    # What moves bytes.

    def _receive(self) -> Step[bytes]:
        while True:
            try:
                data = self.socket.recv(READ_BYTES)
            except BlockingIOError:
                yield READ
                continue
            # As an end: port scans and health checks often finish with a reset.
            except ConnectionResetError:
                data = b""
            if not data:
                if not self._bytes_in:
                    raise NoDataError("it closed the connection before it sent anything")
                raise self._refused("it closed the connection during its handshake")
            self._bytes_in += len(data)
            return data

    def _flush(self) -> Step[None]:
        outgoing, self._outgoing = self._outgoing, b""
        yield from send_all(self.socket, outgoing)
        self._bytes_out += len(outgoing)

    def _send_last(self) -> Step[None]:
        """Send the framing's answer to a violation."""
        with suppress(OSError):
            yield from self._flush()
            yield from finish(self.socket)

    def _break_off(self, reason: str) -> None:
        """Send the framing's last words as far as the kernel accepts them now: no time is left."""
        with suppress(OSError, SessionRefusedError):
            self._call(self._close, reason)
            self.socket.send(self._outgoing)
            # One step only: it ends the sending half, and reads what has arrived.
            next(finish(self.socket), None)

    def _refused(self, reason: str) -> SessionRefusedError:
        self.on_refused(reason)
        return SessionRefusedError(reason)


def _raising(error: FramingError) -> Iterator[bytes]:
    """Return an iterator without a message."""
    yield from ()
    raise error
