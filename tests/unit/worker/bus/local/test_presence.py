"""Tests of the members of groups and of the hooks `joined` and `left`."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactorhost import Member, Worker, hookimpl
from reactorhost.bus.refs import Origin, Ref
from reactorhost.plugins.chain import LoopHook
from reactorhost.reactor import Reactor
from reactorhost.testing import PluginBench, fakes
from reactorhost.testing.fakes import FakeClock, FakePoller
from reactorhost.worker.bus.local.presence import Presence
from reactorhost.worker.hooks.worker_calls import WorkerCalls

OWN = Origin(b"host----", b"worker-1")
SECOND = Origin(b"host----", b"worker-2")
THIRD = Origin(b"host----", b"worker-3")


class Bench:
    """Presence in a worker whose plugin has both hooks, or those of `hooks`."""

    def __init__(self, hooks: tuple[str, ...] = ("joined", "left")) -> None:
        clock = FakeClock()
        self.poller = FakePoller(clock)
        self.reactor = Reactor(self.poller, clock)
        self.called: list[tuple[str, str, str, bytes]] = []
        self.react: Callable[[str], object] = lambda hook: None
        found = {name: LoopHook(self._hook(name), awaits=False) for name in hooks}
        calls = WorkerCalls(self.reactor, found, lambda plugin: None, contextvars.copy_context())
        self.presence = Presence(OWN, calls)
        self.sent: dict[str, bytes | None] = {}
        self.presence.outbound = self  # type: ignore[assignment]

    def _hook(self, name: str) -> Callable[..., None]:
        def call(worker_of: object, group: str, member: Any) -> None:
            self.called.append((name, group, member.ref, member.info))
            self.react(name)

        return call

    def set_member(self, member: str, info: bytes | None) -> None:
        self.sent[member] = info

    def infos(self, group: str) -> list[bytes]:
        return [member.info for member in self.presence.members(group)]

    def run(self) -> list[tuple[str, bytes]]:
        """Run until nothing is left to do; returns the calls of hooks since the last time, with the infos."""
        while fakes.turn(self.reactor, self.poller):
            pass
        called, self.called = self.called, []
        return [(hook, info) for hook, _, _, info in called]


def entries(infos: Mapping[int, bytes], group: str = "room") -> dict[str, bytes]:
    return {f"{group}\0{number}": info for number, info in infos.items()}


def test_a_member_is_listed_replicated_and_reported() -> None:
    bench = Bench()
    bench.presence.set_info("room", 7, b"ann")
    [member] = bench.presence.members("room")
    assert member.ref == str(Ref(OWN.host, OWN.worker, 7))
    assert bench.sent == {"room\x007": b"ann"}
    assert bench.called == []
    assert bench.run() == [("joined", b"ann")]
    bench.presence.set_info("room", 7, None)
    assert bench.presence.members("room") == []
    assert bench.sent == {"room\x007": None}
    assert bench.run() == [("left", b"ann")]


def test_the_hooks_are_passed_the_group_and_the_ref() -> None:
    bench = Bench()
    bench.presence.changed(SECOND, [], entries({3: b"bob"}))
    fakes.turn(bench.reactor, bench.poller)
    assert bench.called == [("joined", "room", str(Ref(SECOND.host, SECOND.worker, 3)), b"bob")]


@pytest.mark.parametrize("info", [b"ann", b""])
def test_the_same_info_again_changes_nothing(info: bytes) -> None:
    bench = Bench()
    bench.presence.set_info("room", 7, info)
    bench.run()
    bench.sent.clear()
    bench.presence.set_info("room", 7, info)
    assert bench.run() == []
    assert bench.sent == {}


def test_another_info_is_left_then_joined_and_keeps_the_place() -> None:
    bench = Bench()
    bench.presence.set_info("room", 1, b"ann")
    bench.presence.set_info("room", 2, b"bob")
    bench.presence.changed(SECOND, [], entries({1: b"eve"}))
    bench.run()
    bench.presence.set_info("room", 1, b"anna")
    bench.presence.changed(SECOND, entries({1: b"eve"}), entries({1: b"eva"}))
    assert bench.run() == [("left", b"ann"), ("joined", b"anna"), ("left", b"eve"), ("joined", b"eva")]
    assert bench.infos("room") == [b"anna", b"bob", b"eva"]


def test_a_connection_without_info_is_unknown() -> None:
    bench = Bench()
    bench.presence.set_info("room", 7, None)
    assert bench.presence.members("room") == []
    assert bench.sent == {}
    assert bench.run() == []


def test_members_are_in_joining_order_here_and_then_by_worker_and_number() -> None:
    bench = Bench()
    bench.presence.changed(THIRD, [], entries({1: b"third"}))
    bench.presence.changed(SECOND, [], entries({10: b"second 10", 9: b"second 9"}))
    for number in (5, 3, 4):
        bench.presence.set_info("room", number, b"own %d" % number)
    assert bench.infos("room") == [b"own 5", b"own 3", b"own 4", b"second 9", b"second 10", b"third"]


def test_members_of_a_first_snapshot_are_listed_and_not_reported() -> None:
    bench = Bench()
    bench.presence.changed(SECOND, [], entries({1: b"bob"}), first=True)
    assert bench.run() == []
    assert bench.infos("room") == [b"bob"]
    bench.presence.changed(SECOND, entries({1: b"bob"}), entries({2: b"eve"}))
    assert bench.run() == [("left", b"bob"), ("joined", b"eve")]


def test_each_member_of_a_worker_that_is_gone_leaves() -> None:
    bench = Bench()
    there = entries({1: b"bob", 2: b"eve"})
    bench.presence.changed(SECOND, [], there)
    bench.presence.changed(THIRD, [], entries({1: b"zoe"}))
    bench.run()
    bench.presence.gone(SECOND, there)
    assert bench.run() == [("left", b"bob"), ("left", b"eve")]
    assert bench.infos("room") == [b"zoe"]
    # Once: the replica of a silent worker may be reported gone, and later its end.
    bench.presence.gone(SECOND, there)
    assert bench.run() == []


def test_a_worker_that_comes_back_before_the_hooks_were_called_has_not_left() -> None:
    bench = Bench()
    bench.presence.changed(SECOND, [], entries({1: b"bob"}))
    bench.run()
    bench.presence.gone(SECOND, entries({1: b"bob"}))
    bench.presence.changed(SECOND, [], entries({1: b"bob"}), first=True)
    assert bench.run() == []
    assert bench.infos("room") == [b"bob"]


@pytest.mark.parametrize(
    "entry", ["room", "room\0", "room\x000", "room\x0001", "room\0a", "\x001", "a\0b\x001", "room\0" + "9" * 30]
)
def test_an_entry_that_is_not_understood_is_ignored(entry: str) -> None:
    bench = Bench()
    bench.presence.changed(SECOND, [], {entry: b"x", "room\x001": b"bob"})
    bench.presence.changed(SECOND, [entry], {})
    assert bench.run() == [("joined", b"bob")]
    assert bench.infos("room") == [b"bob"]


@pytest.mark.parametrize(
    ("hooks", "called"), [(("joined",), ["joined", "joined"]), (("left",), ["left", "left"]), ((), [])]
)
def test_a_plugin_may_have_one_of_the_hooks(hooks: tuple[str, ...], called: list[str]) -> None:
    bench = Bench(hooks)
    seen = []
    for number in (1, 2):
        for info in (b"ann", None):
            bench.presence.set_info("room", number, info)
            seen += [hook for hook, _ in bench.run()]
    assert seen == called


def test_without_the_hooks_nothing_waits() -> None:
    bench = Bench(())
    bench.presence.set_info("room", 1, b"ann")
    assert not fakes.turn(bench.reactor, bench.poller)


def test_many_changes_at_once_are_reported_over_several_turns() -> None:
    bench = Bench()
    bench.presence.changed(SECOND, [], entries(dict.fromkeys(range(1, 1001), b"x")))
    turns, most = 0, 0
    while fakes.turn(bench.reactor, bench.poller):
        turns += 1
        most = max(most, len(bench.called))
        bench.called.clear()
    assert turns >= 10
    assert 0 < most <= 100


def test_a_hook_that_changes_members_does_not_keep_others_waiting() -> None:
    bench = Bench()
    number = 1

    def join_another(hook: str) -> None:
        nonlocal number
        number += 1
        bench.presence.set_info("room", number, b"again")

    bench.react = join_another
    bench.presence.set_info("room", 1, b"first")
    fakes.turn(bench.reactor, bench.poller)
    assert len(bench.called) <= 100


class SlowRoom:
    """Its hook for new members waits until it is released."""

    def __init__(self) -> None:
        self.called: list[str] = []

    @hookimpl
    async def worker_start(self, worker: Worker) -> None:
        self.released = asyncio.Event()

    @hookimpl
    async def joined(self, worker: Worker, group: str, member: Member) -> None:
        self.called.append(f"+{member.info.decode()}")
        await self.released.wait()

    @hookimpl
    async def left(self, worker: Worker, group: str, member: Member) -> None:
        self.called.append(f"-{member.info.decode()}")


def test_what_changes_behind_a_slow_async_hook_is_reported_as_one_difference(
    plugin_bench: Callable[..., PluginBench],
) -> None:
    bench = plugin_bench(room := SlowRoom())
    first, second = bench.connect(), bench.connect()
    first.connection.join("room", b"first")
    bench.settle()
    assert room.called == ["+first"]
    for number in range(1000):
        second.connection.join("room", b"%d" % number)
        bench.settle()
        if number % 2:
            second.connection.leave("room")
    second.connection.join("room", b"second")
    first.connection.leave("room")
    bench.settle()
    assert room.called == ["+first"]
    room.released.set()
    bench.settle()
    assert sorted(room.called) == ["+first", "+second", "-first"]


CHANGES = st.lists(
    st.tuples(st.integers(1, 3), st.sampled_from([None, b"a", b"b"]), st.booleans(), st.booleans()), max_size=40
)


@given(CHANGES)
def test_what_the_hooks_report_adds_up_to_the_members(changes: list[tuple[int, bytes | None, bool, bool]]) -> None:
    bench = Bench()
    known: dict[str, bytes] = {}

    def check(run: bool) -> None:
        if run:
            while fakes.turn(bench.reactor, bench.poller):
                pass
        for hook, _, ref, info in bench.called:
            if hook == "joined":
                assert ref not in known
                known[ref] = info
            else:
                assert known.pop(ref) == info
        bench.called.clear()

    others: dict[int, bytes] = {}
    for number, info, is_own, run in changes:
        if is_own:
            bench.presence.set_info("room", number, info)
        else:
            before = {number: others[number]} if number in others else {}
            others.pop(number, None)
            if info is not None:
                others[number] = info
            after = {} if info is None else {number: info}
            if before != after:
                bench.presence.changed(SECOND, entries(before), entries(after))
        check(run)
    check(True)
    assert known == {member.ref: member.info for member in bench.presence.members("room")}
