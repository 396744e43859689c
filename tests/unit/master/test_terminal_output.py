"""Which TTOU of a master removes a worker."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from unittest.mock import Mock

import pytest

from reactorhost.master.terminal_output import poll_ttou
from reactorhost.reactor import Reactor
from reactorhost.testing.fakes import FakeClock, FakePoller

SI_KERNEL = 0x80


@pytest.fixture(autouse=True)
def _mask_restored() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    yield
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def polled() -> tuple[Reactor, Mock]:
    clock = FakeClock()
    reactor, callback = Reactor(FakePoller(clock), clock), Mock()
    poll_ttou(reactor, callback)
    return reactor, callback


def test_the_signal_of_an_operator_is_seen_within_a_second() -> None:
    reactor, callback = polled()
    # To this thread: others of the process that runs the test do not block it.
    signal.pthread_kill(threading.get_ident(), signal.SIGTTOU)
    reactor.turn(1.0)
    callback.assert_called_once_with()
    reactor.turn(1.0)
    callback.assert_called_once_with()


def test_the_signal_of_a_terminal_removes_no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    reactor, callback = polled()
    monkeypatch.setattr(signal, "sigtimedwait", lambda numbers, seconds: SimpleNamespace(si_code=SI_KERNEL))
    reactor.turn(1.0)
    callback.assert_not_called()
