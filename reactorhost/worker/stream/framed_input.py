"""Framed input: hands a service whole messages in place of bytes as they came.

The framing is asked for one message after the other, so that a plugin which pauses, closes or changes the framing in
the middle of a batch is obeyed at once; what the framing still holds waits there.

The first answer of a batch leaves at once, the others are gathered: a send for each costs several times what the rest
of a small message does. They wait for a millisecond and one hook at most.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from reactorhost.api.connection import Connection
from reactorhost.framing import Framing, FramingError
from reactorhost.worker.context import ServiceContext

_GATHERING_SECONDS = 0.001


class Source(Protocol):
    """The transport whose bytes are framed.

    Attributes:
        takes_input: whether the plugins want another message now.
        busy: whether a hook still works on the one before.
    """

    connection: Connection

    takes_input: bool
    busy: bool

    def cork(self) -> bool:
        """Send what was gathered, and gather what is sent from now on; False when the client proves to be gone."""

    def uncork(self) -> None:
        """Send what was gathered, and from now on everything at once."""

    def read_raw(self) -> None:
        """Go on without a framing."""

    def read_on(self) -> None:
        """Go on reading, if nothing is against it."""


class FramedInput:
    """What stands between a transport and its service when the connection has a framing.

    Attributes:
        framing: makes the messages; None once the connection goes on without one and the last bytes are on their way.
    """

    __slots__ = (
        "_backlog",
        "_context",
        "_delivering",
        "_fed_something",
        "_going_on",
        "_messages",
        "_source",
        "framing",
    )

    def __init__(self, source: Source, context: ServiceContext, framing: Framing) -> None:
        self._source = source
        self._context = context
        # What the framing was fed and has not given yet, and what came meanwhile: one read at most.
        self._messages: Iterator[bytes] | None = None
        self._backlog = b""
        self._delivering = False
        self._going_on = False
        self._fed_something = False
        self.framing: Framing | None = _with_feed(framing)

    def receive(self, connection: Connection, data: bytes) -> None:
        """Take bytes, and call the service for each message that they complete."""
        # What was counted is a piece of the stream.
        self._context.counters.messages -= 1
        self._backlog += data
        if self._messages is None:
            self._deliver(connection)
        else:
            self._source.read_on()

    def change(self, framing: Framing | None) -> None:
        """Let another framing have what this one was not asked for yet; None: let the service have it as it is."""
        self._backlog = self._rest() + self._backlog
        self.framing = None if framing is None else _with_feed(framing)
        self._fed_something = False
        self._messages = iter(()) if self._backlog else None
        if self._messages is None and self.framing is None:
            self._source.read_raw()
        elif self._messages is not None and not self._delivering:
            self._source.read_on()

    @property
    def pending(self) -> bool:
        """Whether messages may wait."""
        return self._messages is not None

    @property
    def waiting(self) -> bool:
        """Whether messages may wait that nobody gives just now."""
        return self._messages is not None and not self._delivering

    def go_on_soon(self) -> None:
        """Call the service for what waits once whoever is at work has finished."""
        if not self._going_on:
            self._going_on = True
            self._context.reactor.call_soon(self._go_on_later)

    def _go_on_later(self) -> None:
        self._going_on = False
        self.go_on()

    def go_on(self) -> None:
        """Call the service for what waits, unless somebody further up the stack is doing that."""
        if self._delivering:
            return
        connection = self._source.connection
        try:
            self._deliver(connection)
        except BaseException as raised:  # noqa: BLE001  a plugin may raise anything
            self._context.receive_failed(connection, raised)
        if self._messages is None:
            self._source.read_on()

    def _fed(self, data: bytes) -> Iterator[bytes]:
        if self.framing is None:
            return iter((data,))
        self._fed_something = True
        return iter(self.framing.feed(data))

    def _deliver(self, connection: Connection) -> None:
        context, source = self._context, self._source
        counters = context.counters
        is_first, send_at = True, 0.0
        self._delivering = True
        try:
            if self._messages is None:
                self._take_up_backlog()
            while source.takes_input and not source.busy and (messages := self._messages) is not None:
                for message in messages:
                    if is_first:
                        is_first = False
                    elif (now := time.monotonic()) >= send_at:
                        if not source.cork():
                            break
                        send_at = now + _GATHERING_SECONDS
                    counters.messages += 1
                    context.receive(connection, message)
                    if self._messages is not messages or source.busy or not source.takes_input:
                        break
                else:
                    self._take_up_backlog()
        except FramingError as error:
            context.framing_broken(connection, error)
        finally:
            self._delivering = False
            if send_at:
                source.uncork()

    def _rest(self) -> bytes:
        if self.framing is None:
            return b"".join(self._messages or ())
        take: Callable[[], bytes] | None = getattr(self.framing, "rest", None)
        if take is not None:
            return bytes(take())
        if self._fed_something:
            name = type(self.framing).__name__
            raise TypeError(f"a {name} has no rest(), so the bytes that it holds cannot go to another framing")
        return b""

    def _take_up_backlog(self) -> None:
        backlog, self._backlog = self._backlog, b""
        self._messages = self._fed(backlog) if backlog else None
        if self.framing is None and self._messages is None:
            self._source.read_raw()


def _with_feed(framing: Any) -> Framing:
    if not callable(getattr(framing, "feed", None)):
        raise TypeError(f"a framing needs a method feed(data), which {framing!r} has not")
    checked: Framing = framing
    return checked
