"""How long the message of a client has been incomplete: from its first byte to its last.

A message that arrives whole costs nothing but the look at the framing behind it. The clock reads `incomplete` of the
framing. One without it has begun a message if it was fed and has returned none; a session without it may have received
a control message, so its messages have no time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from reactorhost.framing import Framing
from reactorhost.framing.contract import is_session
from reactorhost.reactor import Reactor

_CATCH_UP_SECONDS = 1.0


class MessageClock:
    """The clock of one framed connection; `on_begun` is called when a message begins that is not complete.

    Attributes:
        begun_at: when the incomplete message has begun, in seconds of the reactor; None if there is none.
    """

    __slots__ = ("_late_since", "_on_begun", "_reactor", "begun_at")

    def __init__(self, reactor: Reactor, on_begun: Callable[[], object]) -> None:
        self._reactor = reactor
        self._on_begun = on_begun
        self._late_since: float | None = None
        self.begun_at: float | None = None

    def follow(self, framing: Framing, messages: Iterator[bytes]) -> Iterator[bytes]:
        """Return the messages of one feed, and set the clock by them."""
        returned = False
        for message in messages:
            returned = True
            self.stop()
            yield message
        incomplete = getattr(framing, "incomplete", None)
        if incomplete is None:
            incomplete = not (returned or is_session(framing))
        if not incomplete:
            self.stop()
        elif self.begun_at is None:
            self.begun_at = self._reactor.now
            self._on_begun()

    def stop(self) -> None:
        """Note that no message is incomplete."""
        self.begun_at = self._late_since = None

    def restart(self) -> None:
        """Let the time of an incomplete message begin anew: the host did not read it."""
        if self.begun_at is not None:
            self.begun_at, self._late_since = self._reactor.now, None

    def due_at(self, seconds: float) -> float | None:
        """Return when the incomplete message is late; None without one."""
        if self.begun_at is None:
            return None
        return self.begun_at + seconds if self._late_since is None else self._late_since + _CATCH_UP_SECONDS

    def catch_up(self) -> bool:
        """Give a late message, of which a part was read right now, a short time for the rest; returns False if it had.

        The part may have been in the kernel for long, and have filled its buffer, while the loop was blocked.
        """
        begins = self._late_since is None
        if begins:
            self._late_since = self._reactor.now
        return begins
