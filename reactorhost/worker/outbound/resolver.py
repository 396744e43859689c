"""Names to addresses: getaddrinfo blocks, so threads of its own ask it, one for each name that somebody waits for.

They are not those of `run_in_thread`, which a name server that does not answer would use up. A lookup cannot be
stopped: what nobody waits for any more is dropped when it comes. No thread is made before a name is asked for.
"""

from __future__ import annotations

import os
import socket
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from reactorhost.reactor import READ, Reactor

_MOST_THREADS = 8


@dataclass(frozen=True, slots=True)
class Place:
    """Where a stream socket can be connected to: a family of addresses and an address of it."""

    family: int
    sockaddr: Any


@dataclass(slots=True, eq=False)
class Lookup:
    """Somebody who waits for a name."""

    found: Callable[[Sequence[Place]], object]
    failed: Callable[[str], object]
    cancelled: bool = False

    def cancel(self) -> None:
        """Wait no longer."""
        self.cancelled = True


@dataclass(slots=True, eq=False)
class _Question:
    """A name and port that several may wait for; a thread writes the answer, or else why there is none."""

    host: str
    port: int
    lookups: list[Lookup] = field(default_factory=list)
    answer: Sequence[Place] = ()
    reason: str = ""


class Resolver:
    """Asks for names in threads; the answers are given on the loop."""

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        self._questions: dict[tuple[str, int], _Question] = {}
        self._waiting: deque[_Question] = deque()
        self._asked = 0
        self._answered: deque[_Question] = deque()
        # Once made it stays: a thread may write to it after its answer was read.
        self._wake: int | None = None

    def look_up(
        self, host: str, port: int, found: Callable[[Sequence[Place]], object], failed: Callable[[str], object]
    ) -> Lookup:
        """Call `found` with the addresses of a name, of which there is one at least, or `failed` with why not.

        Raises:
            OSError: there is no descriptor left to be woken by.
        """
        if self._wake is None:
            self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
            self._reactor.register(self._wake, READ, self._woken)
        question = self._questions.get((host, port))
        if question is None:
            question = self._questions[host, port] = _Question(host, port)
            self._waiting.append(question)
            self._ask()
        lookup = Lookup(found, failed)
        question.lookups.append(lookup)
        return lookup

    def _ask(self) -> None:
        while self._waiting and self._asked < _MOST_THREADS:
            question = self._waiting.popleft()
            if all(lookup.cancelled for lookup in question.lookups) and question.lookups:
                del self._questions[question.host, question.port]
                continue
            assert self._wake is not None
            # A daemon: one that hangs must not hold up the end of the process.
            thread = threading.Thread(
                target=_answer, args=(question, self._answered, self._wake), name="reactorhost-names", daemon=True
            )
            try:
                thread.start()
            except RuntimeError:
                question.reason = "no thread could be started to resolve the name"
                self._answered.append(question)
                os.eventfd_write(self._wake, 1)
            self._asked += 1

    def _woken(self, events: int) -> None:
        assert self._wake is not None
        os.eventfd_read(self._wake)
        while self._answered:
            question = self._answered.popleft()
            self._asked -= 1
            del self._questions[question.host, question.port]
            for lookup in question.lookups:
                if lookup.cancelled:
                    continue
                if question.answer:
                    lookup.found(question.answer)
                else:
                    lookup.failed(question.reason)
        self._ask()


def numeric(host: str, port: int) -> Place | None:
    """Return the place that a host written as an address is, without asking anybody; None for a name."""
    try:
        found = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        )
    except (OSError, ValueError):
        return None
    family, _, _, _, sockaddr = found[0]
    return Place(family, sockaddr)


def interleaved(places: Sequence[Place]) -> list[Place]:
    """Return the places in their order, but with those of the first one's family and the others in turn.

    So a host whose addresses of one family are all dead is given up for the other after the first.
    """
    first = deque(place for place in places if place.family == places[0].family)
    others = deque(place for place in places if place.family != places[0].family)
    ordered = []
    while first or others:
        ordered += [queue.popleft() for queue in (first, others) if queue]
    return ordered


def _answer(question: _Question, answered: deque[_Question], wake: int) -> None:
    """Ask for one name; in a thread."""
    try:
        found = socket.getaddrinfo(question.host, question.port, type=socket.SOCK_STREAM)
        question.answer = list(dict.fromkeys(Place(family, sockaddr) for family, _, _, _, sockaddr in found))
    except OSError as error:
        question.reason = (error.strerror or str(error)).lower()
    except ValueError:
        question.reason = "that is not a name"
    answered.append(question)
    os.eventfd_write(wake, 1)
