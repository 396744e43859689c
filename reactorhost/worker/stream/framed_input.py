"""Framed input: calls a service with whole messages in place of bytes as they came.

The framing is iterated one message at a time, so that a plugin which pauses, closes or changes the framing in the
middle of a batch takes effect before the next message. What the framing still holds stays there. It cuts little
ahead: 65,536 changes of the framing in one piece took 52 s with a framing that cut all it had, and take 0.3 s.

A client that pipelines gets a millisecond of a turn, and its other messages wait for the next turn: one read can hold
32,768 messages of two bytes, and the worker's other clients would wait for all of them.

The first answer of a turn is sent at once, the others are corked: a `send` for each costs several times what the rest
of a small message does. They wait until the end of that millisecond and one hook at most. Without a framing nothing is
corked: the host cannot know that more is to come, and a hook that takes long would delay an answer that is ready.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from reactorhost.api.close_reason import CloseReason
from reactorhost.api.connection import Connection
from reactorhost.framing import Framing, FramingError
from reactorhost.framing.contract import is_session
from reactorhost.worker.context import ServiceContext
from reactorhost.worker.stream.message_clock import MessageClock
from reactorhost.worker.stream.states import INPUT_PENDING, NO_DELIVERY

_TURN_SECONDS = 0.001


class Source(Protocol):
    """The transport whose bytes are framed.

    Attributes:
        held: why input is not delivered, as `Hold`.
        owed: how many calls of async hooks run or wait.
    """

    connection: Connection

    held: int
    owed: int

    def cork(self) -> bool:
        """Send what is corked, and cork what is sent from now on; False once the connection is not open."""

    def uncork(self) -> None:
        """Send what is corked, and from now on everything at once."""

    def read_raw(self) -> None:
        """Go on without a framing."""

    def input_waits(self) -> None:
        """Read no more until the messages that wait are delivered, and deliver them as soon as possible."""

    def input_delivered(self) -> None:
        """Read again: no message waits."""

    def message_begun(self) -> None:
        """Watch the time of a message that is not complete; called in a service with `message_timeout`."""


class FramedInput:
    """What stands between a transport and its service when the connection has a framing.

    Attributes:
        clock: the time of the incomplete message; None without `message_timeout`.
        framing: makes the messages; None once the connection goes on without one and the last bytes wait.
    """

    __slots__ = (
        "_backlog",
        "_context",
        "_delivering",
        "_messages",
        "_source",
        "_stop_at",
        "_turn",
        "_was_fed",
        "clock",
        "framing",
    )

    def __init__(self, source: Source, context: ServiceContext, framing: Framing) -> None:
        self._source = source
        self._context = context
        # The messages of the bytes that the framing was fed, and the bytes that came since: one read at most.
        self._messages: Iterator[bytes] | None = None
        self._backlog = b""
        self._delivering = False
        self._was_fed = False
        # The turn of the last message, and when that turn's deliveries end: 0.0 before its second message.
        self._turn = -1
        self._stop_at = 0.0
        self.framing: Framing | None = framing
        limited = context.limits.message_timeout is not None
        self.clock = MessageClock(context.reactor, source.message_begun) if limited else None

    def receive(self, connection: Connection, data: bytes) -> None:
        """Add bytes, and call the service with each message that they complete."""
        self._backlog += data
        if self._messages is not None:
            self._context.counters.messages -= 1
            self._source.input_waits()
            return
        # The dispatcher has counted a piece of the stream as a message.
        self._deliver(connection, -1)
        if self._messages is not None or self._source.held & INPUT_PENDING:
            self._note_rest()

    @property
    def frame_key(self) -> object:
        """What the form of a sent message depends on; None if on more than the message."""
        return getattr(self.framing, "frame_key", None)

    def closing(self, reason: CloseReason) -> None:
        """Do nothing: only a session has something to send at the end."""

    def change(self, framing: Framing | None) -> None:
        """Pass what this framing has not returned yet to another one; with None the service receives it as it is."""
        self._backlog = self._rest() + self._backlog
        self.framing = None if framing is None else replaceable(framing)
        self._was_fed = False
        if self.clock is not None:
            self.clock.stop()
        self._messages = iter(()) if self._backlog else None
        if self._messages is None and self.framing is None:
            self._source.read_raw()
        elif self._messages is not None and not self._delivering:
            self._source.input_waits()

    @property
    def pending(self) -> bool:
        """Whether messages may wait."""
        return self._messages is not None

    def has_message(self) -> bool:
        """Return whether a message does wait: only iterating shows it.

        For a client that is gone: a message that was returned is lost to a framing that is set later.
        """
        if self._messages is None or self._backlog:
            return self._messages is not None
        try:
            message = next(self._messages, None)
        except FramingError:
            return False
        except BaseException as raised:  # noqa: BLE001  a plugin's framing may raise anything
            self._context.hook_raised("receive", self._source.connection, raised)
            return False
        if message is not None:
            self._messages = itertools.chain((message,), self._messages)
        return message is not None

    def holds_input(self) -> bool:
        """Return whether something that was received waits, be it a part of a message.

        For a connection that ends if so: what waits is lost. If not, the framing is as at its beginning.

        Raises:
            TypeError: the framing has received bytes, and has no `rest`.
        """
        if self._was_fed and not hasattr(self.framing, "rest"):
            name = type(self.framing).__name__
            raise TypeError(f"a {name} has no rest(), so the host cannot see whether plain text waits in it")
        try:
            if self._backlog or (self._messages is not None and next(self._messages, None) is not None):
                return True
        except FramingError:
            return True
        return bool(self._rest())

    def deliver_pending(self) -> None:
        """Call the service with what waits, unless a caller further up the stack is doing that."""
        if self._delivering:
            return
        connection = self._source.connection
        try:
            # Async hooks that do not await end within the turn, and each asks for the next message.
            if self._has_time():
                self._deliver(connection, 0)
            self._note_rest()
        except BaseException as raised:  # noqa: BLE001  a plugin may raise anything
            self._context.hook_raised("receive", connection, raised)

    def _deliver(self, connection: Connection, count: int) -> None:
        """Call the service with the messages; add `count` and their number to the counter."""
        context, source, reactor = self._context, self._source, self._context.reactor
        turn, clock = reactor.turns, reactor.clock
        stop_at = self._stop_at if self._turn == turn else None
        self._delivering = True
        try:
            if self._messages is None:
                self._feed_backlog()
            while not (source.held & NO_DELIVERY or source.owed) and (messages := self._messages) is not None:
                for message in messages:
                    if not stop_at:
                        if stop_at is None:
                            self._turn, self._stop_at = turn, 0.0
                            stop_at = 0.0
                        else:
                            # From the second message on: most batches have one, and need no clock.
                            self._stop_at = stop_at = clock() + _TURN_SECONDS
                            source.cork()
                            # For the watchdog, which must not add up the first hook and this one. The others begin
                            # within the millisecond.
                            context.counters.messages += count + 1
                            count = -1
                    count += 1
                    context.receive(connection, message)
                    # After a message and not before the next one, which would have been taken from the framing.
                    if stop_at and clock() >= stop_at:
                        return
                    if self._messages is not messages or source.owed or source.held:
                        # The condition above decides; few messages meet a hold that does not stop them.
                        break
                else:
                    self._feed_backlog()
        except FramingError as error:
            context.framing_broken(connection, error)
        finally:
            self._delivering = False
            # Once for all, as the dispatcher does.
            context.counters.messages += count
            if stop_at:
                source.uncork()

    def _has_time(self) -> bool:
        """Return whether this turn of the reactor has time left for this client."""
        reactor = self._context.reactor
        return self._turn != reactor.turns or not self._stop_at or reactor.clock() < self._stop_at

    def _note_rest(self) -> None:
        source = self._source
        if self._messages is None:
            source.input_delivered()
        elif not source.owed:
            # Else the end of the hook goes on here, and in most cases the registration need not change in between.
            source.input_waits()

    def _feed_backlog(self) -> None:
        backlog, self._backlog = self._backlog, b""
        if not backlog:
            self._messages = None
            if self.framing is None:
                self._source.read_raw()
        elif self.framing is None:
            self._messages = iter((backlog,))
        else:
            self._was_fed = True
            messages = iter(self.framing.feed(backlog))
            self._messages = messages if self.clock is None else self.clock.follow(self.framing, messages)

    def _rest(self) -> bytes:
        if self.framing is None:
            return b"".join(self._messages or ())
        rest: Callable[[], bytes] | None = getattr(self.framing, "rest", None)
        if rest is not None:
            return bytes(rest())
        # A framing that has seen nothing yet can be replaced without `rest`.
        if self._was_fed:
            name = type(self.framing).__name__
            raise TypeError(f"a {name} has no rest(), so the bytes that it holds cannot go to another framing")
        return b""


def replaceable(framing: Any) -> Framing:
    """Return a framing for a connection that is open already.

    Raises:
        TypeError: it is not a framing, or it is a session.
    """
    if not callable(getattr(framing, "feed", None)):
        raise TypeError(f"a framing needs a method feed(data), which {framing!r} does not have")
    if is_session(framing):
        what = f"a {type(framing).__name__} is a session, which begins with its connection"
        raise TypeError(f"{what}: return it from the hook framing, or set the framing of the service")
    checked: Framing = framing
    return checked
