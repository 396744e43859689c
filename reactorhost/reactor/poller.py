"""Pollers: wait until the kernel reports a descriptor as ready.

The reactor uses one of two. `EpollPoller` is the default where there is epoll; `SelectorsPoller` works with any
selector of the standard library (kqueue, poll, select, epoll) and is for other systems and for debugging.

Both keep one rule that `selectors` alone does not: a descriptor that is registered without events is still reported
when its connection fails or hangs up. The kernel's epoll and poll do so for every descriptor they know.
"""

from __future__ import annotations

import errno
import os
import select
import selectors
from collections.abc import Callable
from typing import NoReturn, Protocol

from reactorhost.errors import ReactorhostError

# The kernel's values of EPOLLIN, EPOLLOUT, EPOLLERR and EPOLLHUP, which poll has under the same numbers: epoll's
# answers are used as they come, and a system without epoll has the names too.
READ = 1
WRITE = 4
ERROR = 8
HANG_UP = 16
# EPOLLEXCLUSIVE, beside READ: of the processes that wait for one socket, wake one. Only epoll knows it: with another
# poller all of them wake. Such a registration cannot be modified.
EXCLUSIVE = 1 << 28

EPOLL = "epoll"
SELECTORS = "selectors"

# epoll_wait and poll turn a longer wait into an overflow of their milliseconds.
_LONGEST_WAIT = 3600.0

# A client that resets while it is paused is noticed within the second, at four idle turns a second.
_HANG_UP_SECONDS = 0.25


class Poller(Protocol):
    """What the reactor needs of a poller."""

    @property
    def longest_wait(self) -> float:
        """Seconds that one `poll` may wait."""

    def register(self, descriptor: int, events: int, /) -> object:
        """Report a descriptor when it is ready for one of `events`; without events, when it fails or hangs up."""

    def modify(self, descriptor: int, events: int, /) -> object:
        """Change the events of a registered descriptor."""

    def unregister(self, descriptor: int, /) -> object:
        """Report a descriptor no longer.

        Raises:
            OSError: it is not registered.
        """

    def poll(self, timeout: float, most: int, /) -> list[tuple[int, int]]:
        """Wait at most `timeout` seconds; return at most `most` pairs of a descriptor and what it is ready for."""

    def hang_up(self, descriptor: int, /) -> int:
        """Return ERROR, HANG_UP, both or neither: what the kernel says of a descriptor now, registered or not."""

    def fileno(self) -> int:
        """Return a descriptor that is readable when one of the registered ones is ready."""

    def close(self) -> None:
        """Close the poller's own descriptor."""


def hang_up(descriptor: int) -> int:
    """See `Poller.hang_up`."""
    # poll(2) reports both without a request, and behind any unread input, where `recv` would not come to it. Made for
    # each call: this is rare, and a poll object for each connection is not small.
    poller = select.poll()
    poller.register(descriptor, 0)
    return sum(events for _, events in poller.poll(0)) & (ERROR | HANG_UP)


class EpollPoller:
    """`select.epoll`, called directly: its bound methods are attributes, so no frame of ours lies in between.

    That matters for `poll` in every turn. `selectors` builds a key for each event in Python, which costs some 2,400
    instructions a message.
    """

    __slots__ = ("close", "fileno", "modify", "poll", "register", "unregister")

    longest_wait = _LONGEST_WAIT
    hang_up = staticmethod(hang_up)

    def __init__(self) -> None:
        epoll = select.epoll()
        self.register: Callable[[int, int], object] = epoll.register
        self.modify: Callable[[int, int], object] = epoll.modify
        self.unregister: Callable[[int], object] = epoll.unregister
        self.poll: Callable[[float, int], list[tuple[int, int]]] = epoll.poll
        self.fileno: Callable[[], int] = epoll.fileno
        self.close: Callable[[], None] = epoll.close


class SelectorsPoller:
    """Any selector of the standard library, the best one of the system unless another is passed.

    `selectors` refuses a registration without events. Such descriptors are kept in a poll object of their own, which
    is looked at after every wait. No wait lasts longer than `longest_wait`, so a hang-up is reported that late.
    """

    __slots__ = ("_first", "_selector", "_without_events", "_without_events_count")

    longest_wait = _HANG_UP_SECONDS
    hang_up = staticmethod(hang_up)

    def __init__(self, selector: selectors.BaseSelector | None = None) -> None:
        self._selector = selectors.DefaultSelector() if selector is None else selector
        self._without_events = select.poll()
        self._without_events_count = 0
        self._first = 0

    def register(self, descriptor: int, events: int) -> None:
        """See `Poller`."""
        if events:
            self._selector.register(descriptor, _selectors_events(events))
        else:
            self._without_events.register(descriptor, 0)
            self._without_events_count += 1

    def modify(self, descriptor: int, events: int) -> None:
        """See `Poller`."""
        # Else from or to a registration without events, of which the selector does not know.
        if events and descriptor in self._selector.get_map():
            self._selector.modify(descriptor, _selectors_events(events))
        else:
            self.unregister(descriptor)
            self.register(descriptor, events)

    def unregister(self, descriptor: int) -> None:
        """See `Poller`."""
        try:
            if descriptor in self._selector.get_map():
                self._selector.unregister(descriptor)
            else:
                self._without_events.unregister(descriptor)
                self._without_events_count -= 1
        except KeyError:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT)) from None

    def poll(self, timeout: float, most: int) -> list[tuple[int, int]]:
        """See `Poller`."""
        selected = self._selector.select(min(timeout, self.longest_wait))
        ready = [(key.fd, _READY[events]) for key, events in selected]
        if self._without_events_count:
            ready += self._without_events.poll(0)
        if len(ready) > most:
            # poll and select report in the order of registration: always the same first ones would starve the rest.
            first = self._first % len(ready)
            self._first = first + most
            ready = (ready[first:] + ready[:first])[:most]
        return ready

    def fileno(self) -> int:
        """See `Poller`.

        Raises:
            ReactorhostError: the selector has no descriptor; those of poll and select have none.
        """
        fileno: Callable[[], int] | None = getattr(self._selector, "fileno", None)
        if fileno is None:
            raise ReactorhostError(
                f"async hooks need a poller with a descriptor of its own, and {type(self._selector).__name__} has none",
                hint="use a system with epoll or kqueue, or plugins whose hooks are plain functions",
            )
        return fileno()

    def close(self) -> None:
        """See `Poller`."""
        self._selector.close()


class AbandonedPoller:
    """The poller of a forked child, in which the code that forked may still close connections and set timers."""

    longest_wait = 0.0
    hang_up = staticmethod(hang_up)

    def __init__(self, end: Callable[..., NoReturn]) -> None:
        self.poll = self.fileno = self.close = end

    def register(self, descriptor: int, events: int) -> None:
        """Do nothing."""

    modify = register

    def unregister(self, descriptor: int) -> None:
        """Do nothing."""


def new_poller(kind: str) -> Poller:
    """Return a poller, of the kind `epoll` or `selectors`."""
    return EpollPoller() if kind == EPOLL else SelectorsPoller()


def _selectors_events(events: int) -> int:
    return (selectors.EVENT_READ if events & READ else 0) | (selectors.EVENT_WRITE if events & WRITE else 0)


_READY = {
    selectors.EVENT_READ: READ,
    selectors.EVENT_WRITE: WRITE,
    selectors.EVENT_READ | selectors.EVENT_WRITE: READ | WRITE,
}
