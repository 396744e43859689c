"""Tests of the hook `gap`."""

from __future__ import annotations

import contextvars
from collections.abc import Sequence

import pytest

from reactorhost.plugins.chain import LoopHook
from reactorhost.reactor import Reactor
from reactorhost.testing import fakes
from reactorhost.testing.fakes import FakeClock, FakePoller
from reactorhost.worker.bus.local.gaps import MOST_TOPICS, Gaps
from reactorhost.worker.bus.local.interest import Interest
from reactorhost.worker.bus.no_peers import NoPeers
from reactorhost.worker.hooks.worker_calls import WorkerCalls


class Bench:
    """A worker with members or subscriptions for these keys, and a history of groups that begin with `kept`."""

    def __init__(self, *delivered: str, has_hook: bool = True) -> None:
        clock = FakeClock()
        self.poller = FakePoller(clock)
        self.reactor = Reactor(self.poller, clock)
        self.called: list[tuple[str, bool]] = []

        def call(worker_of: object, group: str, recovered: bool) -> None:
            self.called.append((group, recovered))

        hooks = {"gap": LoopHook(call, awaits=False)} if has_hook else {}
        calls = WorkerCalls(self.reactor, hooks, lambda plugin: None, contextvars.copy_context())
        self.interest = Interest(NoPeers)
        for key in delivered:
            self.interest.add(key)
        self.interest.keep("g:kept*")
        self.interest.keep("g:kept")
        self.gaps = Gaps(calls, self.interest)

    def missed(self, keys: Sequence[str] | None, *, recovered: bool = False) -> None:
        self.gaps.missed(keys, recovered=recovered)

    def run(self) -> list[tuple[str, bool]]:
        while fakes.turn(self.reactor, self.poller):
            pass
        called, self.called = self.called, []
        return called


DELIVERED = ("g:room", "g:kept.1", "t:news.*", "t:news.2", "t:log")


@pytest.mark.parametrize(
    ("keys", "called"),
    [
        (["g:room"], ["room"]),
        (["t:log", "g:room"], ["log", "room"]),
        # Without a member or a subscription here.
        (["g:log", "t:room", "g:other", "g:kept", "g:kept.2"], []),
        # By a pattern: the topic itself.
        (["t:news.1", "t:news.2", "t:new"], ["news.1", "news.2"]),
        # Those of a pattern that is wanted of other hosts.
        (["g:kept*"], ["kept.1"]),
        (["t:news.*"], ["news.*", "news.2"]),
        (None, ["room", "kept.1", "news.*", "news.2", "log"]),
        ([], []),
    ],
)
def test_the_hook_is_called_for_what_is_delivered_here(keys: list[str] | None, called: list[str]) -> None:
    bench = Bench(*DELIVERED)
    bench.missed(keys)
    assert bench.called == []
    assert bench.run() == [(name, False) for name in called]


def test_one_burst_is_one_call() -> None:
    bench = Bench(*DELIVERED)
    for _ in range(1000):
        bench.missed(["g:room", "t:news.1"])
    assert bench.run() == [("room", False), ("news.1", False)]
    bench.missed(["g:room"])
    assert bench.run() == [("room", False)]


@pytest.mark.parametrize(
    ("recovered", "called"), [([True], True), ([True, True], True), ([True, False], False), ([False, True], False)]
)
def test_a_burst_is_recovered_if_all_of_it_is(recovered: list[bool], called: bool) -> None:
    bench = Bench(*DELIVERED)
    for each in recovered:
        bench.missed(["g:room"], recovered=each)
    assert bench.run() == [("room", called)]


@pytest.mark.parametrize(("first", "then"), [(True, True), (True, False), (False, True), (False, False)])
def test_a_gap_of_everything_is_recovered_if_all_of_it_is(first: bool, then: bool) -> None:
    bench = Bench("g:room", "t:log")
    bench.missed(["g:room"], recovered=first)
    bench.missed(None, recovered=then)
    assert bench.run() == [("room", first and then), ("log", then)]


def test_a_key_that_is_not_wanted_any_more_has_no_gap() -> None:
    bench = Bench(*DELIVERED)
    bench.interest.remove("t:news.*")
    bench.missed(["t:news.1", "t:news.2"])
    assert bench.run() == [("news.2", False)]


def test_many_groups_are_called_over_several_turns() -> None:
    bench = Bench(*(f"g:{number}" for number in range(1000)))
    bench.missed(None)
    turns = 0
    while fakes.turn(bench.reactor, bench.poller):
        turns += 1
        assert len(bench.called) <= 100 * turns
    assert [name for name, _ in bench.called] == [str(number) for number in range(1000)]


def test_too_many_topics_of_a_pattern_are_one_call_for_the_pattern() -> None:
    bench = Bench(*DELIVERED)
    bench.missed([f"t:news.{number}" for number in range(10, MOST_TOPICS * 3)])
    called = bench.run()
    assert len(called) == MOST_TOPICS + 1
    assert called[-1] == ("news.*", False)


def test_without_the_hook_nothing_waits() -> None:
    bench = Bench(*DELIVERED, has_hook=False)
    bench.missed(None)
    assert not fakes.turn(bench.reactor, bench.poller)
