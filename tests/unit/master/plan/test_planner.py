"""The roster decides: what is missing, late, surplus or in back-off."""

from __future__ import annotations

import random

import pytest
from hypothesis import settings, strategies
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from reactorhost.master.plan.actions import (
    Abort,
    Action,
    Adopt,
    Close,
    Drain,
    Kill,
    LeaveNow,
    Open,
    Release,
    Retire,
    Spawn,
    Steer,
)
from reactorhost.master.plan.planner import ExitKind, HostState, Planner, WorkerState


class Stage:
    """Carries out what a roster wants, on paper."""

    def __init__(self, workers: int = 2) -> None:
        self.now = 100.0
        self.planner = Planner(workers, 10.0, 5.0, 60.0, 65.0, jitter=random.Random(1))
        self.pids = iter(range(1000, 100_000))
        self.done: list[Action] = []

    def settle(self) -> list[Action]:
        """Act until nothing more is wanted; returns what was done."""
        done: list[Action] = []
        for _ in range(50):
            wanted = self.planner.decide(self.now)
            if not wanted:
                self.done += done
                return done
            for action in wanted:
                done.append(action)
                if isinstance(action, Spawn):
                    self.planner.forked(next(self.pids), action.slot, action.generation, 0, self.now)
        raise AssertionError(f"the roster never rests: {done[-5:]}")

    def expire(self, seconds: float) -> list[Action]:
        """Let time pass, and look at the deadlines."""
        self.now += seconds
        return self.planner.expire(self.now)

    def starting(self, slot: int) -> int:
        """Return the process that boots in a slot."""
        return self.planner.in_slot(slot, WorkerState.STARTING)[-1].pid

    def ready(self, slot: int) -> int:
        """Let the process that boots in a slot become ready."""
        pid = self.starting(slot)
        self.planner.ready(pid, self.now)
        self.settle()
        return pid

    def exit(self, pid: int) -> ExitKind:
        """Let a process end."""
        ended = self.planner.exited(pid, "exit status 1", self.now)
        assert ended is not None
        return ended.kind

    def running(self) -> list[int]:
        """Boot every slot; returns their processes."""
        self.settle()
        pids = [self.ready(0)]
        pids += [self.ready(slot) for slot in range(1, self.planner.target)]
        self.done.clear()
        return pids


def test_the_first_slot_boots_alone_until_it_is_ready() -> None:
    stage = Stage(3)
    assert stage.settle() == [Open(0), Open(1), Open(2), Spawn(0, 1)]
    stage.ready(0)
    assert [action for action in stage.done if isinstance(action, Spawn)] == [Spawn(0, 1), Spawn(1, 1), Spawn(2, 1)]


def test_a_crashed_worker_is_replaced_at_once_and_its_listeners_are_adopted_meanwhile() -> None:
    stage = Stage()
    first, second = stage.running()
    assert stage.exit(first) is ExitKind.CRASHED
    assert stage.settle() == [Spawn(0, 1), Adopt(0, second)]
    stage.ready(0)
    assert stage.done[-1] == Release(0, second)


def test_the_respawn_delay_doubles_and_has_a_limit() -> None:
    stage = Stage(1)
    stage.running()
    delays = []
    for _ in range(14):
        member = next(iter(stage.planner.members.values()))
        stage.exit(member.pid)
        slot = stage.planner.slots[0]
        delays.append(slot.not_before - stage.now)
        stage.now = max(stage.now, slot.not_before)
        assert Spawn(0, 1) in stage.settle()
    assert delays[0] == 0
    assert all(0.75 * 0.1 * 2**step <= delay <= 1.25 * 0.1 * 2**step for step, delay in enumerate(delays[1:9]))
    assert all(22.5 <= delay <= 37.5 for delay in delays[10:])


def test_nothing_is_started_before_the_delay_is_over() -> None:
    stage = Stage(1)
    stage.running()
    stage.exit(next(iter(stage.planner.members)))
    assert stage.settle() == [Spawn(0, 1)]
    stage.exit(next(iter(stage.planner.members)))
    assert stage.settle() == []
    assert stage.planner.next_at(stage.now) == stage.planner.slots[0].not_before


def test_a_worker_that_was_steady_is_replaced_at_once_again() -> None:
    stage = Stage(1)
    stage.running()
    for _ in range(5):
        stage.exit(next(iter(stage.planner.members)))
        stage.now = max(stage.now, stage.planner.slots[0].not_before)
        stage.settle()
    pid = stage.ready(0)
    stage.now += 31
    stage.exit(pid)
    assert stage.planner.slots[0].not_before == stage.now


def test_a_reload_replaces_slot_by_slot_and_drains_the_old_only_when_the_new_is_ready() -> None:
    stage = Stage()
    first, second = stage.running()
    stage.planner.start_reload()
    assert stage.settle() == [Spawn(0, 2)]
    assert stage.planner.generation == 1
    stage.ready(0)
    assert Drain(first, 60.0, final=False) in stage.done
    assert not [action for action in stage.done if isinstance(action, Drain) and action.pid == second]
    assert Spawn(1, 2) in stage.done
    stage.ready(1)
    assert Drain(second, 60.0, final=False) in stage.done
    assert stage.planner.generation == 2
    assert stage.planner.reload is not None
    assert not stage.planner.reload.waiting


def test_a_canary_that_fails_leaves_every_old_worker_and_no_back_off() -> None:
    stage = Stage()
    old = stage.running()
    stage.planner.start_reload()
    stage.settle()
    ended = stage.planner.exited(stage.starting(0), "exit status 3", stage.now)
    assert ended is not None
    assert ended.failed_reload
    assert ended.kind is ExitKind.NOT_BOOTED
    assert stage.settle() == []
    assert sorted(stage.planner.members) == sorted(old)
    assert stage.planner.generation == 1
    assert stage.planner.slots[0].failures == 0


def test_a_late_worker_is_asked_for_its_stack_and_then_killed() -> None:
    stage = Stage()
    stage.running()
    stage.planner.start_reload()
    stage.settle()
    pid = stage.starting(0)
    assert stage.expire(9.9) == []
    assert stage.expire(0.1) == [Abort(pid, "not ready within 10 s (boot_timeout)")]
    assert stage.planner.ready(pid, stage.now) is None
    assert stage.expire(2.0) == [Kill(pid, "still starting after its deadline")]


def test_a_worker_that_does_not_drain_in_time_is_killed() -> None:
    stage = Stage(1)
    (first,) = stage.running()
    stage.planner.start_reload()
    stage.settle()
    stage.ready(0)
    assert stage.expire(59.0) == []
    assert Kill(first, "still draining after its deadline") in stage.expire(4.1)


def test_the_end_of_a_draining_worker_is_no_failure() -> None:
    stage = Stage()
    first, _ = stage.running()
    stage.planner.leaving(first, 5.0, stage.now)
    assert Spawn(0, 1) in stage.settle()
    assert stage.exit(first) is ExitKind.EXPECTED
    assert stage.planner.slots[0].failures == 0


def test_the_adopter_is_the_next_slot_going_round_and_is_replaced_when_it_leaves() -> None:
    stage = Stage(3)
    pids = stage.running()
    stage.exit(pids[2])
    assert Adopt(2, pids[0]) in stage.settle()
    stage.planner.leaving(pids[0], 5.0, stage.now)
    assert {Adopt(2, pids[1]), Adopt(0, pids[1])} <= set(stage.settle())


def test_shrinking_lets_the_highest_leave_and_keeps_its_listeners_served() -> None:
    stage = Stage(3)
    pids = stage.running()
    stage.planner.scale(2)
    assert stage.settle() == [Drain(pids[2], 60.0, final=False), Steer((2,)), Adopt(2, pids[0])]
    assert stage.planner.scaled()
    stage.exit(pids[2])
    assert stage.settle() == []
    assert stage.expire(64.0) == []
    assert stage.expire(1.0) == [Retire(2, pids[0])]
    assert stage.settle() == [], "nobody adopts what is being given back"
    assert stage.planner.released(2, pids[0], stage.now)
    stage.planner.retired(2)
    assert sorted(stage.planner.slots) == [0, 1]


def test_a_slot_does_not_retire_while_anybody_else_may_hold_its_listeners() -> None:
    stage = Stage(3)
    pids = stage.running()
    stage.planner.scale(2)
    stage.settle()
    stage.planner.retire_later(2, stage.now)
    assert stage.expire(0.1) == [], "its own worker drains, and has not said that it closed them"
    assert not stage.planner.released(2, pids[2], stage.now)
    assert Retire(2, pids[0]) in stage.expire(1.0)
    stage.exit(pids[1])
    stage.settle()
    assert not stage.planner.released(2, pids[0], stage.now), "who boots may not have closed what it inherited"
    assert Adopt(2, pids[0]) in stage.settle()
    assert stage.expire(1.0) == []
    stage.ready(1)
    assert stage.expire(1.0) == [Retire(2, pids[0])]
    assert stage.planner.released(2, pids[0], stage.now)


def test_a_slot_whose_adopter_ends_while_it_gives_back_is_adopted_again_and_retires_later() -> None:
    stage = Stage(3)
    pids = stage.running()
    stage.planner.scale(2)
    stage.settle()
    stage.exit(pids[2])
    stage.expire(65.0)
    stage.exit(pids[0])
    assert Adopt(2, pids[1]) in stage.settle()
    assert not stage.planner.released(2, pids[0], stage.now)
    stage.ready(0)
    assert Retire(2, pids[1]) in stage.expire(0.1)


def test_a_slot_that_is_wanted_again_while_it_is_given_back_is_not_closed() -> None:
    stage = Stage(2)
    pids = stage.running()
    stage.planner.scale(1)
    stage.settle()
    stage.exit(pids[1])
    assert stage.expire(65.0) == [Retire(1, pids[0])]
    stage.planner.scale(2)
    assert Adopt(1, pids[0]) in stage.settle(), "it gave the listeners back, or will before it reads this"
    assert not stage.planner.released(1, pids[0], stage.now)


def test_growing_again_takes_back_a_slot_that_had_not_retired() -> None:
    stage = Stage(2)
    pids = stage.running()
    stage.planner.scale(1)
    stage.settle()
    stage.exit(pids[1])
    stage.planner.scale(2)
    assert stage.settle() == [Steer(()), Spawn(1, 1)]
    stage.ready(1)
    assert stage.done[-1] == Release(1, pids[0])


def test_a_slot_that_never_served_is_closed_at_once() -> None:
    stage = Stage(1)
    stage.running()
    stage.planner.scale(2)
    stage.settle()
    booting = stage.starting(1)
    stage.planner.scale(1)
    assert stage.settle() == [LeaveNow(booting), Close(1)]
    assert stage.exit(booting) is ExitKind.EXPECTED


def test_a_slot_that_leaves_during_its_reload_does_not_hold_the_reload_up() -> None:
    stage = Stage(2)
    stage.running()
    stage.planner.start_reload()
    stage.settle()
    stage.ready(0)
    stage.planner.scale(1)
    stage.settle()
    assert stage.planner.reload is not None
    assert stage.planner.reload.slot is None
    assert not stage.planner.reload.waiting


def test_stopping_drains_everybody_and_starts_nobody() -> None:
    stage = Stage()
    first, second = stage.running()
    stage.planner.stop(stage.now, at_once=False)
    assert stage.settle() == [Drain(first, 5.0, final=True), Drain(second, 5.0, final=True)]
    stage.exit(first)
    assert stage.settle() == []
    assert not stage.planner.stopped()
    stage.exit(second)
    assert stage.planner.stopped()


def test_a_second_stop_hurries_everybody_once() -> None:
    stage = Stage()
    first, second = stage.running()
    stage.planner.stop(stage.now, at_once=False)
    stage.settle()
    stage.planner.stop(stage.now, at_once=True)
    assert stage.settle() == [LeaveNow(first), LeaveNow(second)]
    stage.planner.stop(stage.now, at_once=True)
    assert stage.settle() == []
    assert {action.pid for action in stage.expire(2.0) if isinstance(action, Kill)} == {first, second}


def test_old_workers_of_one_slot_are_limited_in_number() -> None:
    stage = Stage(1)
    (oldest,) = stage.running()
    for _ in range(5):
        stage.planner.reload = None
        stage.planner.start_reload()
        stage.settle()
        stage.ready(0)
    assert [action for action in stage.done if isinstance(action, Drain) and action.pid == oldest] == [
        Drain(oldest, 60.0, final=False),
        Drain(oldest, 5.0, final=False),
    ]


def test_a_fork_that_fails_ends_a_reload_or_waits_like_a_crash() -> None:
    stage = Stage(1)
    stage.running()
    stage.planner.start_reload()
    stage.planner.decide(stage.now)
    assert stage.planner.fork_failed(0, stage.now)
    assert stage.planner.reload is None
    stage.exit(next(iter(stage.planner.members)))
    assert not stage.planner.fork_failed(0, stage.now)
    assert stage.planner.slots[0].not_before > stage.now


def test_a_stranger_is_nobody() -> None:
    stage = Stage()
    stage.running()
    assert stage.planner.exited(1, "exit status 0", stage.now) is None
    assert stage.planner.ready(1, stage.now) is None


class AnyHistory(RuleBasedStateMachine):
    """Whatever happens in whatever order, the roster rests, and what it wants makes sense."""

    @initialize(workers=strategies.integers(1, 4))
    def begin(self, workers: int) -> None:
        self.stage = Stage(workers)
        self.stage.settle()

    def _some(self, data: strategies.DataObject, *states: WorkerState) -> int | None:
        pids = [pid for pid, member in self.stage.planner.members.items() if member.state in states]
        return data.draw(strategies.sampled_from(pids)) if pids else None

    @rule(data=strategies.data())
    def one_becomes_ready(self, data: strategies.DataObject) -> None:
        pid = self._some(data, WorkerState.STARTING)
        if pid is not None:
            self.stage.planner.ready(pid, self.stage.now)

    @rule(data=strategies.data())
    def one_ends(self, data: strategies.DataObject) -> None:
        pid = self._some(data, *WorkerState)
        if pid is not None:
            self.stage.exit(pid)

    @rule(data=strategies.data())
    def one_is_told_to_leave(self, data: strategies.DataObject) -> None:
        pid = self._some(data, WorkerState.READY)
        if pid is not None:
            self.stage.planner.leaving(pid, 5.0, self.stage.now)

    @precondition(lambda self: self.stage.planner.mode is HostState.RUNNING)
    @rule()
    def a_reload_starts(self) -> None:
        if self.stage.planner.reload is None:
            self.stage.planner.start_reload()

    @precondition(lambda self: self.stage.planner.mode is HostState.RUNNING)
    @rule(workers=strategies.integers(1, 5))
    def it_is_scaled(self, workers: int) -> None:
        self.stage.planner.scale(workers)

    @rule(seconds=strategies.sampled_from([0.05, 1.0, 12.0, 70.0]))
    def time_passes(self, seconds: float) -> None:
        for action in self.stage.expire(seconds):
            if isinstance(action, Kill):
                self.stage.exit(action.pid)
            if isinstance(action, Retire) and action.adopter is None:
                self.stage.planner.retired(action.slot)

    @rule(data=strategies.data(), empty=strategies.booleans())
    def an_adopter_gives_back(self, data: strategies.DataObject, empty: bool) -> None:
        retiring = [number for number, slot in self.stage.planner.slots.items() if slot.retiring]
        if retiring:
            number = data.draw(strategies.sampled_from(retiring))
            adopter = self.stage.planner.slots[number].adopter
            assert adopter is not None
            if not self.stage.planner.released(number, adopter, self.stage.now):
                return
            if empty:
                self.stage.planner.retired(number)
            else:
                self.stage.planner.retire_later(number, self.stage.now + 1)

    @invariant()
    def it_rests_and_makes_sense(self) -> None:
        if not hasattr(self, "stage"):
            return
        planner, now = self.stage.planner, self.stage.now
        self.stage.settle()
        reload = planner.reload
        if reload is not None and reload.slot is None and not reload.waiting:
            planner.reload = None
        for number, slot in planner.slots.items():
            assert len(planner.in_slot(number, WorkerState.READY)) <= 1
            assert len(planner.in_slot(number, WorkerState.STARTING)) <= 1
            if slot.serving and not planner.in_slot(number, WorkerState.READY):
                others = [each for each in planner.members.values() if each.state is WorkerState.READY]
                assert (slot.adopter is None) == (not others)
            if slot.adopter is not None:
                assert planner.members[slot.adopter].state is WorkerState.READY
        next_at = planner.next_at(now)
        if planner.mode is HostState.RUNNING and not any(planner.in_slot(slot, *WorkerState) for slot in planner.slots):
            assert next_at is not None, "nobody serves and nothing is going to happen"

    def teardown(self) -> None:
        if not hasattr(self, "stage"):
            return
        planner = self.stage.planner
        for _ in range(40):
            for member in list(planner.members.values()):
                if member.state is WorkerState.STARTING:
                    if planner.ready(member.pid, self.stage.now) is None:
                        self.stage.exit(member.pid)
                elif member.state is not WorkerState.READY:
                    self.stage.exit(member.pid)
            self.stage.now += 40
            self.stage.settle()
            if planner.scaled():
                break
        else:
            raise AssertionError("the roster did not come to what was wanted")
        planner.stop(self.stage.now, at_once=False)
        self.stage.settle()
        for pid in list(planner.members):
            self.stage.exit(pid)
        assert planner.stopped()


TestAnyHistory = AnyHistory.TestCase
TestAnyHistory.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@pytest.mark.parametrize("target", [1, 4])
def test_every_wanted_slot_ends_up_ready(target: int) -> None:
    stage = Stage(target)
    stage.running()
    assert stage.planner.ready_slots() == target
    assert stage.planner.scaled()
