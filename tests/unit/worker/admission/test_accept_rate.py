"""The token bucket of a worker: its share of the rate, what is saved, and when to try again."""

from __future__ import annotations

import dataclasses
from typing import Any, cast

import pytest
from hypothesis import given, strategies

from reactorhost.config.service import Service
from reactorhost.plugins.worker_limit import WorkerLimit
from reactorhost.worker.admission.accept_rate import AcceptRate, accept_rates


class Bucket:
    """A rate, and clients that are accepted as fast as it allows."""

    def __init__(self, per_second: int, workers: int = 1) -> None:
        self.workers = workers
        self.now = 0.0
        self.accepted: list[Any] = []
        self.rate = AcceptRate(per_second, lambda: self.workers, self.now)
        self.accept = self.rate.counted(lambda sock, peer: self.accepted.append(peer))

    def accept_all(self, until: float, most: int = 10**6) -> int:
        """Accept until a time, trying again whenever the bucket says so; returns how many were accepted."""
        before = len(self.accepted)
        while self.now < until:
            while self.rate.allows(self.now) and len(self.accepted) - before < most:
                self.accept(cast("Any", None), None)
            if len(self.accepted) - before >= most:
                break
            later = self.rate.ready_at(self.now)
            assert later > self.now
            self.now = later
        return len(self.accepted) - before


def test_a_second_is_saved_and_then_the_rate_holds() -> None:
    bucket = Bucket(100)
    assert bucket.accept_all(0.001) == 100
    assert bucket.accept_all(10.0) == pytest.approx(1000, abs=2)
    bucket.now += 3600
    assert bucket.accept_all(bucket.now + 0.001) == 100


def test_each_worker_has_its_share() -> None:
    assert Bucket(100, workers=4).accept_all(0.001) == 25


def test_a_share_below_one_saves_a_whole_connection() -> None:
    bucket = Bucket(2, workers=8)
    assert bucket.accept_all(0.001) == 1
    assert bucket.accept_all(40.0) == pytest.approx(10, abs=1)


def test_the_share_follows_the_number_of_workers() -> None:
    bucket = Bucket(10, workers=100)
    bucket.accept_all(0.001)
    assert bucket.rate.ready_at(bucket.now) == bucket.now + 1.0, "not 10 seconds: the number may change"
    bucket.workers = 1
    bucket.now += 1.0
    assert bucket.accept_all(bucket.now + 0.001) == pytest.approx(10, abs=1)


@given(
    per_second=strategies.integers(1, 5000),
    workers=strategies.integers(1, 256),
    waits=strategies.lists(strategies.floats(0.0, 3.0), max_size=20),
)
def test_never_more_than_the_rate_and_what_was_saved(per_second: int, workers: int, waits: list[float]) -> None:
    bucket = Bucket(per_second, workers)
    share = per_second / workers
    for wait in waits:
        bucket.now += wait
        bucket.accept_all(bucket.now + 0.05)
        assert len(bucket.accepted) <= max(1.0, share) + bucket.now * share + 1e-6


def test_the_share_is_of_the_workers_that_serve_the_service() -> None:
    service = Service("a", (), ("echo",), accept_rate=60)
    services = [
        service,
        dataclasses.replace(service, name="two", workers=2),
        dataclasses.replace(service, name="plugin", workers=3),
        dataclasses.replace(service, name="unlimited", accept_rate=None),
    ]
    rates = accept_rates(services, {"plugin": WorkerLimit(1, "p")}, lambda: 6, 0.0)
    bursts: dict[str, int] = {}
    for name, rate in rates.items():
        accept = rate.counted(lambda sock, peer: None)
        bursts[name] = 0
        while rate.allows(0.0):
            accept(cast("Any", None), None)
            bursts[name] += 1
    assert bursts == {"a": 10, "two": 30, "plugin": 60}
