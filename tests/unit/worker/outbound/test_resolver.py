"""Name lookups: shared by callers, bounded in threads, and dropped when they are cancelled."""

from __future__ import annotations

import os
import select
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from reactorhost.worker.outbound.resolver import Resolver, SocketAddress

DEADLINE_SECONDS = 20.0


class Names:
    """A resolver whose names a test answers, and the reactor that it wakes."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answers: dict[str, threading.Event] = {}
        self.outcomes: list[object] = []
        self._descriptor = -1
        self._callback: Callable[[int], object] = lambda events: None
        self._began = threading.Condition()
        reactor: Any = self
        self.resolver = Resolver(reactor)

    # The part of a reactor that the resolver uses.

    def register(self, descriptor: int, events: int, callback: Callable[[int], object]) -> None:
        self._descriptor, self._callback = descriptor, callback

    # For tests.

    def getaddrinfo(self, host: str, port: int, **options: object) -> list[tuple[object, ...]]:
        with self._began:
            self.asked.append(host)
            answer = self.answers.setdefault(host, threading.Event())
            self._began.notify()
        assert answer.wait(DEADLINE_SECONDS)
        if host == "missing":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        if host == "malformed":
            raise UnicodeError("label too long")
        return [(socket.AF_INET, None, None, None, (host, port))] * 2

    def look_up(self, host: str) -> Any:
        return self.resolver.look_up(host, 80, self.found, self.outcomes.append)

    def found(self, addresses: Sequence[SocketAddress]) -> None:
        self.outcomes.append([address.sockaddr for address in addresses])

    def wait_for(self, count: int) -> None:
        """Wait until so many names are being looked up."""
        with self._began:
            assert self._began.wait_for(lambda: len(self.asked) >= count, DEADLINE_SECONDS)

    def answer(self, host: str) -> None:
        """Answer a name that is being looked up, and deliver the answer."""
        self.answers[host].set()
        assert select.select([self._descriptor], [], [], DEADLINE_SECONDS)[0]
        self._callback(0)

    def close(self) -> None:
        for answer in self.answers.values():
            answer.set()
        for thread in threading.enumerate():
            if thread.name == "reactorhost-names":
                thread.join(DEADLINE_SECONDS)
        if self._descriptor != -1:
            os.close(self._descriptor)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    made = Names()
    monkeypatch.setattr(socket, "getaddrinfo", made.getaddrinfo)
    yield made
    made.close()


def test_callers_of_one_name_share_a_lookup_and_a_cancelled_one_is_not_called(names: Names) -> None:
    names.look_up("db")
    cancelled = names.look_up("db")
    names.look_up("db")
    cancelled.cancel()
    names.wait_for(1)
    names.answer("db")
    assert names.outcomes == [[("db", 80)], [("db", 80)]]
    assert names.asked == ["db"]


@pytest.mark.parametrize(
    ("name", "reason"), [("missing", "name or service not known"), ("malformed", "that is not a name")]
)
def test_a_failed_lookup_has_a_reason(names: Names, name: str, reason: str) -> None:
    names.look_up(name)
    names.wait_for(1)
    names.answer(name)
    assert names.outcomes == [reason]


def test_eight_names_are_looked_up_at_once_and_a_cancelled_one_is_never(names: Names) -> None:
    for number in range(8):
        names.look_up(f"n{number}")
    names.look_up("cancelled").cancel()
    names.look_up("last")
    names.wait_for(8)
    names.answer("n3")
    names.wait_for(9)
    assert names.asked[8] == "last"
    assert names.outcomes == [[("n3", 80)]]


def test_a_thread_that_cannot_be_started_is_a_failed_lookup(names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        names.look_up("db")
    names.answers["db"] = threading.Event()
    names.answer("db")
    assert names.outcomes == ["no thread could be started to resolve the name"]
    names.look_up("db")
    names.wait_for(1)
    names.answer("db")
    assert names.outcomes[1:] == [[("db", 80)]]
