"""Requests to workers end when all have answered, ended, or taken too long."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from typing import Any
from unittest.mock import Mock

import pytest

from reactorhost.ipc.jsonlines import Message
from reactorhost.master.plan.worker_table import WorkerRecord, WorkerState
from reactorhost.master.workers.requests import TIMEOUT_SECONDS, WorkerRequests
from reactorhost.reactor import Reactor
from reactorhost.testing.fakes import FakeClock, FakePoller

WORKERS = [WorkerRecord(pid, slot, 1, 0.0, WorkerState.READY, 0.0, None) for slot, pid in enumerate((70, 71))]


class Requested:
    """A request to two workers, and what became of it."""

    def __init__(self, pool: Any, workers: Sequence[WorkerRecord] = WORKERS) -> None:
        self.clock = FakeClock()
        self.reactor = Reactor(FakePoller(self.clock), self.clock)
        self.requests = WorkerRequests(self.reactor, pool)
        self.answers: list[tuple[int, object]] = []
        self.silent: Sequence[int] | None = None
        self.requests.send(workers, {"order": "x"}, self._answered, self._done, [9])

    def _answered(self, worker: WorkerRecord, answer: Message) -> None:
        self.answers.append((worker.pid, answer.get("error")))

    def _done(self, silent: Sequence[WorkerRecord]) -> None:
        assert self.silent is None, "done once"
        self.silent = [worker.pid for worker in silent]


@pytest.fixture
def requested() -> Requested:
    return Requested(Mock())


def test_it_ends_with_the_last_answer(requested: Requested) -> None:
    requested.requests.answered(71, {"request": 1})
    requested.requests.answered(70, {"request": 1, "last": False})
    assert requested.silent is None
    requested.requests.answered(70, {"request": 1, "last": True})
    assert requested.answers == [(71, None), (70, None), (70, None)]
    assert requested.silent == []


def test_workers_that_take_too_long_are_named_and_their_answers_dropped(requested: Requested) -> None:
    requested.requests.answered(70, {"request": 1})
    requested.clock.now = TIMEOUT_SECONDS
    requested.reactor.turn(0)
    assert requested.silent == [71]
    requested.requests.answered(71, {"request": 1})
    assert requested.answers == [(70, None)]


def test_a_worker_that_ended_is_not_waited_for(requested: Requested) -> None:
    requested.requests.answered(70, {"request": 1})
    requested.requests.worker_ended(71)
    assert requested.silent == []


def test_an_order_that_cannot_be_sent_is_an_answer_with_the_error() -> None:
    pool = Mock()
    pool.order.side_effect = OSError(errno.EMFILE, "Too many open files")
    requested = Requested(pool)
    assert requested.answers == [(70, "Too many open files"), (71, "Too many open files")]
    assert requested.silent == []


def test_without_workers_it_ends_at_once() -> None:
    assert Requested(Mock(), ()).silent == []


def test_the_time_counts_from_the_last_part_of_an_answer(requested: Requested) -> None:
    for _ in range(3):
        requested.clock.now += TIMEOUT_SECONDS - 0.1
        requested.reactor.turn(0)
        requested.requests.answered(70, {"request": 1, "last": False})
    assert requested.silent is None
    requested.clock.now += TIMEOUT_SECONDS
    requested.reactor.turn(0)
    assert requested.silent == [70, 71]
