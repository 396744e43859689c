"""Notifications on their way to the service manager: sent at once, or again a moment later if it is busy."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from reactorhost.logs import EventLog
from reactorhost.reactor import Reactor
from reactorhost.system.notify import NotifySocket

_RETRY_SECONDS = 0.1
_NO_DESCRIPTORS: Callable[[], Sequence[int]] = tuple


@dataclass(frozen=True, slots=True)
class _Notification:
    text: str
    descriptors: Callable[[], Sequence[int]]
    kind: str | None


@dataclass(slots=True)
class Outbox:
    """Sends notifications in order and never waits.

    Attributes:
        is_lost: whether the last one could not be sent because the service manager has no socket any more.
    """

    reactor: Reactor
    socket: NotifySocket
    log: EventLog
    is_lost: bool = False
    _waiting: deque[_Notification] = field(default_factory=deque)

    def send(
        self, *lines: str, descriptors: Callable[[], Sequence[int]] = _NO_DESCRIPTORS, kind: str | None = None
    ) -> None:
        """Send one notification of these lines.

        `descriptors` are read when it is sent. While it waits, a newer one of the same `kind` takes its place, so that
        nothing piles up for a service manager that does not read.
        """
        was_idle = not self._waiting
        if kind is not None:
            self._waiting = deque(each for each in self._waiting if each.kind != kind)
        self._waiting.append(_Notification("\n".join(lines), descriptors, kind))
        # Otherwise a timer runs, which sends all of them in order.
        if was_idle:
            self._flush()

    def _flush(self) -> None:
        while self._waiting:
            first = self._waiting[0]
            try:
                self.socket.send(first.text, first.descriptors())
            except BlockingIOError:
                # The socket is not connected, so its own readiness says nothing of the reader's queue.
                self.reactor.call_later(_RETRY_SECONDS, self._flush)
                return
            except OSError as error:
                if not self.is_lost:
                    self.is_lost = True
                    self.log.warning("service_manager_lost", error=error.strerror or str(error))
            else:
                self.is_lost = False
            self._waiting.popleft()
