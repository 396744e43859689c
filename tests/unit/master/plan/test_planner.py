"""The planner decides which workers are missing, late, surplus or in back-off."""

from __future__ import annotations

import random
from dataclasses import replace
from signal import SIGABRT, SIGKILL, SIGQUIT
from unittest.mock import Mock

import pytest
from hypothesis import settings, strategies
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from fake_supervisor import FakeSupervisor
from planner_settings import host_settings
from reactorhost.errors import ReactorhostError
from reactorhost.ipc.stall import Stall
from reactorhost.master.plan import planner_state
from reactorhost.master.plan.actions import (
    Adopt,
    Avoid,
    Close,
    Drain,
    Open,
    Refuse,
    Release,
    Retire,
    Signal,
    Spawn,
    Steer,
)
from reactorhost.master.plan.operations import ReloadState
from reactorhost.master.plan.planner import ExitKind, HostState, Planner
from reactorhost.master.plan.recycle_limits import Usage
from reactorhost.master.plan.slot import SlotState
from reactorhost.master.plan.worker_table import WorkerState


def test_the_first_slot_boots_alone_until_it_is_ready() -> None:
    host = FakeSupervisor(3)
    assert host.settle() == [Open(0), Open(1), Open(2), Spawn(0, 1)]
    host.ready(0)
    assert [action for action in host.done if isinstance(action, Spawn)] == [Spawn(0, 1), Spawn(1, 1), Spawn(2, 1)]


def test_a_crashed_worker_is_replaced_at_once_and_its_listeners_are_adopted_meanwhile() -> None:
    host = FakeSupervisor()
    first, second = host.running()
    assert host.exit(first) is ExitKind.CRASHED
    assert host.settle() == [Spawn(0, 1), Adopt(0, second)]
    host.ready(0)
    assert host.done[-1] == Release(0, second)


def test_the_delay_after_a_boot_that_failed_doubles_and_has_a_limit() -> None:
    host = FakeSupervisor(1)
    host.exit(host.running()[0])
    assert host.settle() == [Spawn(0, 1)]
    delays = []
    for _ in range(14):
        host.exit(host.starting(0))
        slot = host.planner.slots[0]
        delays.append(slot.backoff.until - host.now)
        host.now = max(host.now, slot.backoff.until)
        assert Spawn(0, 1) in host.settle()
    assert all(0.75 * 0.1 * 2**step <= delay <= 1.25 * 0.1 * 2**step for step, delay in enumerate(delays[:9]))
    assert all(22.5 <= delay <= 37.5 for delay in delays[9:])


@pytest.mark.parametrize("seed", range(20))
def test_a_worker_that_never_boots_is_forked_at_most_12_times_a_minute(seed: int) -> None:
    host = FakeSupervisor(2)
    host.planner = Planner(host_settings(2), random.Random(seed))
    host.exit(host.running()[1])
    forks = []
    while host.now < 400:
        if Spawn(1, 1) in host.settle():
            forks.append(host.now)
            host.exit(host.starting(1))
        else:
            next_at = host.planner.next_at(host.now)
            assert next_at is not None
            host.now = next_at
    assert max(sum(at <= other < at + 60 for other in forks) for at in forks) <= 12


def test_a_worker_that_had_been_ready_is_back_within_about_a_second_after_each_crash() -> None:
    host = FakeSupervisor(2)
    _, pid = host.running()
    for _ in range(20):
        host.exit(pid)
        slot = host.planner.slots[1]
        assert slot.backoff.until - host.now <= 1.25
        host.now = max(host.now, slot.backoff.until)
        host.settle()
        pid = host.ready(1)


def test_a_boot_that_fails_after_crashes_is_the_first_of_its_kind() -> None:
    host = FakeSupervisor(2)
    _, pid = host.running()
    for _ in range(10):
        host.exit(pid)
        host.now += 2
        host.settle()
        pid = host.ready(1)
    host.exit(pid)
    host.now += 2
    host.settle()
    host.exit(host.starting(1))
    assert host.planner.slots[1].backoff.until - host.now <= 0.125


def test_slots_are_never_all_in_back_off_while_workers_boot() -> None:
    host = FakeSupervisor(2)
    pids = host.running()
    for _ in range(10):
        for pid in pids:
            host.exit(pid)
        host.settle()
        next_at = host.planner.next_at(host.now)
        if not host.planner.workers:
            assert next_at is not None
            assert next_at - host.now <= 0.1
            host.now = next_at
            host.settle()
        assert host.planner.workers
        pids = [host.ready(slot.number) for slot in host.planner.slots.values() if slot.state is SlotState.STARTING]


def test_a_single_slot_whose_workers_crash_after_their_boot_is_not_forked_without_pause() -> None:
    host = FakeSupervisor(1)
    (pid,) = host.running()
    pauses = []
    for _ in range(10):
        host.exit(pid)
        if not host.settle():
            next_at = host.planner.next_at(host.now)
            assert next_at is not None
            pauses.append(next_at - host.now)
            host.now = next_at
            host.settle()
        pid = host.ready(0)
    assert len(pauses) == 9
    assert all(0.075 <= pause <= 0.1001 for pause in pauses)


def test_nothing_is_started_before_the_delay_is_over() -> None:
    host = FakeSupervisor(1)
    host.running()
    host.exit(next(iter(host.planner.workers)))
    assert host.settle() == [Spawn(0, 1)]
    host.exit(next(iter(host.planner.workers)))
    assert host.settle() == []
    assert host.planner.next_at(host.now) == host.planner.slots[0].backoff.until


def test_a_worker_that_was_steady_is_replaced_at_once_again() -> None:
    host = FakeSupervisor(1)
    host.running()
    for _ in range(5):
        host.exit(next(iter(host.planner.workers)))
        host.now = max(host.now, host.planner.slots[0].backoff.until)
        host.settle()
    pid = host.ready(0)
    host.now += 31
    host.exit(pid)
    assert host.planner.slots[0].backoff.until == host.now


def test_a_reload_replaces_slot_by_slot_and_drains_the_old_only_when_the_new_is_ready() -> None:
    host = FakeSupervisor()
    first, second = host.running()
    host.start_reload()
    assert host.settle() == [Spawn(0, 2)]
    assert host.planner.generation == 1
    host.ready(0)
    assert Drain(first, 60.0, final=False) in host.done
    assert not [action for action in host.done if isinstance(action, Drain) and action.pid == second]
    assert Spawn(1, 2) in host.done
    host.ready(1)
    assert Drain(second, 60.0, final=False) in host.done
    assert host.planner.generation == 2
    assert host.planner.reload.running
    assert not host.planner.reload.waiting
    assert host.planner.reload.finish()


def test_a_canary_that_fails_leaves_every_old_worker_and_no_back_off() -> None:
    host = FakeSupervisor()
    old = host.running()
    host.start_reload()
    host.settle()
    ended = host.end(host.starting(0))
    assert ended is not None
    assert ended.failed_reload
    assert ended.kind is ExitKind.NOT_BOOTED
    assert host.settle() == []
    assert sorted(host.planner.workers) == sorted(old)
    assert host.planner.generation == 1
    assert host.planner.serving() == "generation 1 in slots 0-1"
    assert not host.planner.slots[0].backoff.failed


def test_after_a_reload_that_failed_later_each_slot_has_the_generation_that_serves_it() -> None:
    host = FakeSupervisor(4)
    old = host.running()
    host.exit(old[3])
    host.start_reload()
    host.settle()
    host.ready(0)
    host.ready(1)
    host.end(host.starting(2))
    assert host.planner.serving() == "generation 2 in slots 0-1, generation 1 in slot 2, no worker in slot 3"


def test_a_late_worker_is_sent_abrt_and_then_kill() -> None:
    host = FakeSupervisor()
    host.running()
    host.start_reload()
    host.settle()
    pid = host.starting(0)
    assert host.expire(9.9) == []
    assert host.expire(0.1) == [Signal(pid, SIGABRT, "boot_timeout of 10 s exceeded")]
    assert host.planner.ready(pid, host.now) is None
    assert host.expire(2.0) == [Signal(pid, SIGKILL, "still starting after its deadline")]
    assert host.planner.workers[pid].reason == "boot_timeout of 10 s exceeded", "the first reason is the cause"


def test_a_worker_that_does_not_drain_in_time_is_killed() -> None:
    host = FakeSupervisor(1)
    (first,) = host.running()
    host.start_reload()
    host.settle()
    host.ready(0)
    assert host.expire(59.0) == []
    assert Signal(first, SIGKILL, "still draining after its deadline") in host.expire(4.1)


def test_the_end_of_a_draining_worker_is_not_a_failure() -> None:
    host = FakeSupervisor()
    first, _ = host.running()
    host.planner.leaving(first, 5.0, host.now, waits=False)
    assert Spawn(0, 1) in host.settle()
    assert host.exit(first) is ExitKind.EXPECTED
    assert not host.planner.slots[0].backoff.failed


def test_a_worker_that_got_term_serves_for_a_moment_and_then_drains() -> None:
    host = FakeSupervisor()
    first, second = host.running()
    host.planner.leaving(first, 3.5, host.now, waits=True)
    assert host.settle() == []
    assert host.planner.next_at(host.now) == host.now + 0.3
    assert host.expire(0.3) == [Drain(first, 3.2, final=False)]
    assert host.settle() == [Spawn(0, 1), Adopt(0, second)]
    assert host.exit(first) is ExitKind.EXPECTED


def test_term_to_all_processes_is_a_stop_in_either_order() -> None:
    for master_first in (True, False):
        host = FakeSupervisor()
        first, second = host.running()
        for event in sorted(("master", "workers"), reverse=not master_first):
            if event == "master":
                host.planner.stop(host.now, at_once=False)
            else:
                host.planner.leaving(first, 3.5, host.now, waits=True)
                host.planner.leaving(second, 3.5, host.now, waits=True)
            host.settle()
        assert host.done == [Drain(first, 3.5, final=True), Drain(second, 3.5, final=True)]


def test_the_end_of_a_worker_that_got_term_is_expected_before_its_order_too() -> None:
    host = FakeSupervisor()
    first, _ = host.running()
    host.planner.leaving(first, 3.5, host.now, waits=True)
    assert host.exit(first) is ExitKind.EXPECTED


def test_a_stop_is_over_within_its_timeout() -> None:
    host = FakeSupervisor()
    first, second = host.running()
    host.planner.stop(host.now, at_once=False)
    assert host.settle() == [Drain(first, 3.5, final=True), Drain(second, 3.5, final=True)]
    host.silence(second)
    late = "still stopping after its deadline"
    assert host.expire(4.85) == [Signal(second, SIGABRT, late)]
    assert host.planner.next_at(host.now) == pytest.approx(105.0)
    assert host.expire(0.151) == [Signal(first, SIGKILL, late), Signal(second, SIGKILL, late)]


def test_a_late_deadline_of_a_stop_leaves_a_silent_worker_time_to_write_its_stack() -> None:
    host = FakeSupervisor(1)
    (pid,) = host.running()
    host.planner.stop(host.now, at_once=False)
    host.settle()
    host.silence(pid)
    late = "still stopping after its deadline"
    assert host.expire(60.0) == [Signal(pid, SIGABRT, late)]
    assert host.expire(0.1) == []
    assert host.expire(0.051) == [Signal(pid, SIGKILL, late)]


def test_a_stuck_worker_is_not_drained_by_a_stop_but_ended_with_its_stack() -> None:
    host = FakeSupervisor()
    first, second = host.running()
    host.planner.stalled(first, 30.0, Stall("made", "receive", "made.py:3", 70.0), host.now)
    host.planner.stop(host.now, at_once=False)
    assert host.settle() == [Drain(second, 3.5, final=True)]
    reason = "its loop did not turn for 30.0 s (stall_timeout), in made.receive at made.py:3"
    assert host.expire(0.0) == [Signal(first, SIGABRT, reason)]
    assert host.expire(2.0) == [Signal(first, SIGKILL, "still stuck after its deadline")]


@pytest.mark.parametrize(
    ("stalled", "reason"),
    [(False, "signal 9 (SIGKILL)"), (True, "its loop did not turn for 30.0 s (stall_timeout)")],
)
def test_a_slot_knows_why_its_worker_ended(stalled: bool, reason: str) -> None:
    host = FakeSupervisor(1)
    (pid,) = host.running()
    if stalled:
        host.planner.stalled(pid, 30.0, None, host.now)
    host.planner.exited(pid, "signal 9 (SIGKILL)", ReactorhostError("it failed"), host.now)
    assert host.planner.slots[0].reason == reason
    host.settle()
    starting = next(iter(host.planner.workers))
    host.planner.exited(starting, "exit status 4", ReactorhostError("plugin 'made' cannot be loaded"), host.now)
    assert host.planner.slots[0].reason == "plugin 'made' cannot be loaded"
    assert host.planner.slots[0].last_exit == "exit status 4"


def test_the_adopter_is_the_next_slot_going_round_and_is_replaced_when_it_leaves() -> None:
    host = FakeSupervisor(3)
    pids = host.running()
    host.exit(pids[2])
    assert Adopt(2, pids[0]) in host.settle()
    host.planner.leaving(pids[0], 5.0, host.now, waits=False)
    assert {Adopt(2, pids[1]), Adopt(0, pids[1])} <= set(host.settle())


def test_a_silent_worker_shares_its_queue_with_a_neighbour_until_it_turns_again() -> None:
    host = FakeSupervisor()
    first, second = host.running()
    host.planner.table.note_heartbeats({first: host.now - 0.99, second: host.now}, host.now)
    assert host.settle() == []
    assert host.silence(first) == [Adopt(0, second)]
    assert host.planner.slots[0].state is SlotState.READY
    assert host.silence() == [Release(0, second)]
    assert host.planner.workers.keys() == {first, second}


def test_a_silent_neighbour_does_not_adopt() -> None:
    host = FakeSupervisor(3)
    first, second, third = host.running()
    assert host.silence(second) == [Adopt(1, third)]
    host.exit(first)
    assert Adopt(0, third) in host.settle()


def test_after_a_second_another_worker_adopts_in_place_of_one_without_free_descriptors() -> None:
    host = FakeSupervisor(3)
    pids = host.running()
    host.exit(pids[0])
    assert Adopt(0, pids[1]) in host.settle()
    host.planner.adoption.refused(0, pids[1], host.now)
    assert host.settle() == []
    host.now += 1
    assert host.settle() == [Adopt(0, pids[2])]
    host.planner.adoption.refused(0, pids[2], host.now)
    host.now += 1
    assert host.settle() == [Adopt(0, pids[1])]


def test_the_only_other_worker_is_ordered_to_adopt_again() -> None:
    host = FakeSupervisor(2)
    pids = host.running()
    host.exit(pids[0])
    assert Adopt(0, pids[1]) in host.settle()
    host.planner.adoption.refused(0, pids[1], host.now)
    host.now += 1
    assert host.settle() == [Adopt(0, pids[1])]


def test_an_adopter_that_falls_silent_hands_over() -> None:
    host = FakeSupervisor(3)
    first, second, third = host.running()
    host.exit(first)
    assert Adopt(0, second) in host.settle()
    assert host.silence(second) == [Release(0, second), Adopt(0, third), Adopt(1, third)]


def test_an_adopter_stays_while_every_worker_is_silent() -> None:
    host = FakeSupervisor()
    first, second = host.running()
    host.silence(first)
    assert host.silence(first, second) == []
    assert host.silence(second) == [Release(0, second), Adopt(1, first)]


def test_a_full_worker_gets_no_clients_while_a_neighbour_has_room_and_refuses_if_none_has() -> None:
    host = FakeSupervisor()
    first, second = host.running()
    host.planner.full(first, full=True)
    assert host.settle() == [Adopt(0, second), Avoid((0,))]
    host.planner.full(second, full=True)
    assert host.settle() == [Avoid(()), Refuse(first, ("default",)), Refuse(second, ("default",))]
    host.planner.full(first, full=False)
    assert host.settle() == [
        Release(0, second),
        Adopt(1, first),
        Avoid((1,)),
        Refuse(first, ()),
        Refuse(second, ()),
    ]
    host.planner.full(second, full=False)
    assert host.settle() == [Release(1, first), Avoid(())]


def test_a_full_worker_does_not_refuse_while_another_one_is_only_silent() -> None:
    host = FakeSupervisor()
    first, second = host.running()
    host.silence(second)
    host.planner.full(first, full=True)
    assert not [action for action in host.settle() if isinstance(action, Refuse)]


def test_a_slot_whose_adopter_falls_silent_while_it_retires_is_adopted_again() -> None:
    host = FakeSupervisor(3)
    first, second, third = host.running()
    host.planner.scaling.request(2)
    host.settle()
    host.exit(third)
    host.expire(65.0)
    assert Adopt(2, second) in host.silence(first)
    assert host.expire(0.5) == [], "the silent worker still has its copies"
    assert not host.planner.adoption.released(2, first, host.now)
    assert Retire(2, second) in host.expire(1.0)


def test_shrinking_drains_the_highest_slot_and_its_listeners_are_adopted() -> None:
    host = FakeSupervisor(3)
    pids = host.running()
    host.planner.scaling.request(2)
    assert host.settle() == [Drain(pids[2], 60.0, final=False), Steer((2,)), Adopt(2, pids[0])]
    assert host.planner.scaling.reached()
    host.exit(pids[2])
    assert host.settle() == []
    assert host.expire(64.0) == []
    assert host.expire(1.0) == [Retire(2, pids[0])]
    assert host.settle() == [], "a slot that retires is not adopted"
    assert host.planner.adoption.released(2, pids[0], host.now)
    host.planner.adoption.retired(2)
    assert sorted(host.planner.slots) == [0, 1]


def test_a_worker_that_is_stuck_after_its_slot_was_retired_is_ended() -> None:
    host = FakeSupervisor(2)
    first, second = host.running()
    host.planner.scaling.request(1)
    host.settle()
    host.planner.adoption.released(1, second, host.now)
    # The drain goes on for as long as its connections, at most `drain_timeout`.
    assert host.expire(50.0) == []
    host.planner.adoption.retired(1)
    host.planner.stalled(second, 10.0, None, host.now)
    assert host.expire(0.0) == [Signal(second, SIGABRT, "its loop did not turn for 10.0 s (stall_timeout)")]
    assert host.exit(second) is ExitKind.CRASHED
    assert list(host.planner.workers) == [first]
    assert host.settle() == []


def test_a_slot_does_not_retire_while_another_worker_may_have_its_listeners() -> None:
    host = FakeSupervisor(3)
    pids = host.running()
    host.planner.scaling.request(2)
    host.settle()
    host.planner.adoption.retire_later(2, host.now - 1)
    assert host.expire(0.1) == [], "its own worker drains, and has not said that it closed them"
    assert not host.planner.adoption.released(2, pids[2], host.now)
    assert Retire(2, pids[0]) in host.expire(1.0)
    host.exit(pids[1])
    host.settle()
    assert not host.planner.adoption.released(2, pids[0], host.now), (
        "a worker that boots may still have what it inherited"
    )
    assert Adopt(2, pids[0]) in host.settle()
    assert host.expire(1.0) == []
    host.ready(1)
    assert host.expire(1.0) == [Retire(2, pids[0])]
    assert host.planner.adoption.released(2, pids[0], host.now)


def test_a_slot_whose_adopter_ends_while_it_retires_is_adopted_again_and_retires_later() -> None:
    host = FakeSupervisor(3)
    pids = host.running()
    host.planner.scaling.request(2)
    host.settle()
    host.exit(pids[2])
    host.expire(65.0)
    host.exit(pids[0])
    assert Adopt(2, pids[1]) in host.settle()
    assert not host.planner.adoption.released(2, pids[0], host.now)
    host.ready(0)
    assert Retire(2, pids[1]) in host.expire(0.1)


def test_a_slot_that_is_wanted_again_while_it_retires_is_not_closed() -> None:
    host = FakeSupervisor(2)
    pids = host.running()
    host.planner.scaling.request(1)
    host.settle()
    host.exit(pids[1])
    assert host.expire(65.0) == [Retire(1, pids[0])]
    host.planner.scaling.request(2)
    assert Adopt(1, pids[0]) in host.settle(), "it gave the listeners back, or will before it reads this"
    assert not host.planner.adoption.released(1, pids[0], host.now)
    assert pids[0] in host.planner.slots[1].holders


def test_growing_again_reuses_a_slot_that_had_not_retired() -> None:
    host = FakeSupervisor(2)
    pids = host.running()
    host.planner.scaling.request(1)
    host.settle()
    host.exit(pids[1])
    host.planner.scaling.request(2)
    assert host.settle() == [Steer(()), Spawn(1, 1)]
    host.ready(1)
    assert host.done[-1] == Release(1, pids[0])


def test_a_slot_that_never_served_is_closed_at_once() -> None:
    host = FakeSupervisor(1)
    host.running()
    host.planner.scaling.request(2)
    host.settle()
    booting = host.starting(1)
    host.planner.scaling.request(1)
    assert host.settle() == [Signal(booting, SIGQUIT), Close(1)]
    assert host.exit(booting) is ExitKind.EXPECTED


def test_a_slot_that_leaves_during_its_reload_is_skipped() -> None:
    host = FakeSupervisor(2)
    host.running()
    host.start_reload()
    host.settle()
    host.ready(0)
    host.planner.scaling.request(1)
    host.settle()
    assert host.planner.reload.state is ReloadState.CHOOSING
    assert not host.planner.reload.waiting


def test_stopping_drains_every_worker_and_starts_none() -> None:
    host = FakeSupervisor()
    first, second = host.running()
    host.planner.stop(host.now, at_once=False)
    assert host.settle() == [Drain(first, 3.5, final=True), Drain(second, 3.5, final=True)]
    host.exit(first)
    assert host.settle() == []
    assert host.planner.workers
    host.exit(second)
    assert not host.planner.workers


def test_a_second_stop_signals_every_worker_once() -> None:
    host = FakeSupervisor()
    first, second = host.running()
    host.planner.stop(host.now, at_once=False)
    host.settle()
    host.planner.stop(host.now, at_once=True)
    assert host.settle() == [Signal(first, SIGQUIT), Signal(second, SIGQUIT)]
    host.planner.stop(host.now, at_once=True)
    assert host.settle() == []
    assert {action.pid for action in host.expire(2.0) if isinstance(action, Signal) and action.number is SIGKILL} == {
        first,
        second,
    }


def test_old_workers_of_one_slot_are_limited_in_number() -> None:
    host = FakeSupervisor(1)
    (oldest,) = host.running()
    for _ in range(5):
        host.planner.reload.finish()
        host.start_reload()
        host.settle()
        host.ready(0)
    assert [action for action in host.done if isinstance(action, Drain) and action.pid == oldest] == [
        Drain(oldest, 60.0, final=False),
        Drain(oldest, 3.5, final=False),
    ]


def test_a_fork_that_fails_ends_a_reload_or_waits_like_a_crash() -> None:
    host = FakeSupervisor(1)
    host.running()
    host.start_reload()
    host.planner.decide(host.now)
    error = ReactorhostError("cannot fork")
    assert host.planner.fork_failed(0, error, host.now)
    assert not host.planner.reload.running
    host.exit(next(iter(host.planner.workers)))
    assert not host.planner.fork_failed(0, error, host.now)
    assert host.planner.slots[0].backoff.until > host.now


def test_a_fork_that_fails_ends_the_requests_that_wait_for_it() -> None:
    host = FakeSupervisor(1)
    (first,) = host.running()
    scaled, recycled = Mock(), Mock()
    host.planner.scaling.request(2, scaled)
    host.planner.recycle(first, recycled)
    assert {Spawn(0, 1), Spawn(1, 1)} < set(host.planner.decide(host.now))
    error = ReactorhostError("cannot fork: no more processes")
    for slot in (0, 1):
        host.planner.fork_failed(slot, error, host.now)
    recycled.failed.assert_called_once_with(error)
    assert scaled.failed.call_args.args[0].what == "slot 0 is not ready: cannot fork: no more processes"
    assert not host.planner.slots[0].backoff.failed, "the worker that was to be replaced serves on"
    assert host.planner.slots[1].backoff.failed


def test_a_process_that_is_not_a_worker_is_ignored() -> None:
    host = FakeSupervisor()
    host.running()
    assert host.end(1) is None
    assert host.planner.ready(1, host.now) is None


class AnySequence(RuleBasedStateMachine):
    """After any sequence of events the planner settles, and its records are consistent."""

    @initialize(workers=strategies.integers(1, 4))
    def begin(self, workers: int) -> None:
        self.host = FakeSupervisor(workers)
        self.host.settle()

    def _some(self, data: strategies.DataObject, *states: WorkerState) -> int | None:
        pids = [pid for pid, worker in self.host.planner.workers.items() if worker.state in states]
        return data.draw(strategies.sampled_from(pids)) if pids else None

    @rule(data=strategies.data())
    def one_becomes_ready(self, data: strategies.DataObject) -> None:
        pid = self._some(data, WorkerState.STARTING)
        if pid is not None:
            self.host.planner.ready(pid, self.host.now)

    @rule(data=strategies.data())
    def one_ends(self, data: strategies.DataObject) -> None:
        pid = self._some(data, *WorkerState)
        if pid is not None:
            self.host.exit(pid)

    @rule(data=strategies.data(), waits=strategies.booleans())
    def one_leaves(self, data: strategies.DataObject, waits: bool) -> None:
        pid = self._some(data, WorkerState.READY)
        if pid is not None:
            self.host.planner.leaving(pid, 5.0, self.host.now, waits=waits)

    @rule(data=strategies.data())
    def some_are_silent(self, data: strategies.DataObject) -> None:
        pids = sorted(self.host.planner.workers)
        self.host.silence(*data.draw(strategies.sets(strategies.sampled_from(pids))) if pids else ())

    @rule(data=strategies.data())
    def one_is_stuck(self, data: strategies.DataObject) -> None:
        pid = self._some(data, WorkerState.READY, WorkerState.DRAINING)
        if pid is not None:
            self.host.planner.stalled(pid, 10.0, None, self.host.now)

    @rule(data=strategies.data())
    def one_that_drains_closes_its_listeners(self, data: strategies.DataObject) -> None:
        pid = self._some(data, WorkerState.DRAINING)
        if pid is not None:
            slot = self.host.planner.workers[pid].slot
            assert not self.host.planner.adoption.released(slot, pid, self.host.now)

    @rule(data=strategies.data(), full=strategies.booleans())
    def one_is_full_or_has_room(self, data: strategies.DataObject, full: bool) -> None:
        pid = self._some(data, WorkerState.READY)
        if pid is not None:
            self.host.planner.full(pid, full=full)

    @rule(data=strategies.data())
    def one_reads_an_order(self, data: strategies.DataObject) -> None:
        pid = self._some(data, *WorkerState)
        if pid is not None:
            self.host.leading.of[pid].reads_an_order()

    @rule(data=strategies.data())
    def a_hook_of_one_returns(self, data: strategies.DataObject) -> None:
        pid = self._some(data, *WorkerState)
        if pid is not None:
            self.host.leading.of[pid].a_hook_returns()

    @rule(data=strategies.data())
    def a_report_of_one_is_read(self, data: strategies.DataObject) -> None:
        pid = self._some(data, *WorkerState)
        if pid is not None:
            self.host.leading.read_report(pid)

    @rule(data=strategies.data())
    def one_leaves_without_an_order(self, data: strategies.DataObject) -> None:
        # It was sent QUIT, or TERM while the master is stopped; its report of that is on its way.
        pid = self._some(data, WorkerState.READY, WorkerState.DRAINING)
        if pid is not None:
            self.host.leading.of[pid].leadership.step_down()

    @precondition(lambda self: self.host.planner.state is HostState.RUNNING)
    @rule(workers=strategies.sampled_from([None, 1, 2, 3]))
    def plugins_allow_another_number_of_workers(self, workers: int | None) -> None:
        self.host.declare(default=workers)

    @precondition(lambda self: self.host.planner.state is HostState.RUNNING)
    @rule()
    def a_reload_starts(self) -> None:
        if not self.host.planner.reload.running:
            self.host.start_reload()

    @precondition(lambda self: self.host.planner.state is HostState.RUNNING)
    @rule(messages=strategies.integers(0, 100))
    def workers_reach_a_limit(self, messages: int) -> None:
        planner = self.host.planner
        limited = replace(planner.settings, max_messages_per_worker=100)
        usage = dict.fromkeys(planner.workers, Usage(None, 0, messages))
        due = planner.recycle_limits.due(usage, limited, self.host.now)
        starting = any(planner.table.in_slot(slot, WorkerState.STARTING) for slot in planner.scaling.wanted())
        assert len(due) <= (0 if starting or planner.reload.running or messages < 90 else 1)
        for excess in due:
            planner.recycle(excess.worker.pid, Mock())

    @precondition(lambda self: self.host.planner.state is HostState.RUNNING)
    @rule(workers=strategies.integers(1, 5))
    def it_is_scaled(self, workers: int) -> None:
        self.host.planner.scaling.request(workers)

    @rule()
    def another_program_continues(self) -> None:
        self.host.settle()
        if planner_state.is_idle(self.host.planner):
            due = self.host.planner.next_at(self.host.now)
            self.host.hand_over()
            # It finds the workers and slots as they are, and has nothing to do that the one before had not.
            assert self.host.settle() == []
            assert self.host.planner.next_at(self.host.now) == due

    @rule(seconds=strategies.sampled_from([0.05, 1.0, 12.0, 70.0]))
    def time_passes(self, seconds: float) -> None:
        for action in self.host.expire(seconds):
            if isinstance(action, Signal) and action.number is SIGKILL:
                self.host.exit(action.pid)
            if isinstance(action, Retire) and action.adopter is None:
                self.host.planner.adoption.retired(action.slot)

    @rule(data=strategies.data())
    def an_earlier_release_is_reported_late(self, data: strategies.DataObject) -> None:
        slots = self.host.planner.slots.values()
        adopted = [each for each in slots if each.adopter is not None and each.state is not SlotState.RETIRING]
        if adopted:
            slot = data.draw(strategies.sampled_from(adopted))
            assert slot.adopter is not None
            assert not self.host.planner.adoption.released(slot.number, slot.adopter, self.host.now)

    @rule(data=strategies.data(), empty=strategies.booleans())
    def an_adopter_gives_back(self, data: strategies.DataObject, empty: bool) -> None:
        retiring = [number for number, slot in self.host.planner.slots.items() if slot.state is SlotState.RETIRING]
        if retiring:
            number = data.draw(strategies.sampled_from(retiring))
            adopter = self.host.planner.slots[number].adopter
            assert adopter is not None
            if not self.host.planner.adoption.released(number, adopter, self.host.now):
                return
            if empty:
                self.host.planner.adoption.retired(number)
            else:
                self.host.planner.adoption.retire_later(number, self.host.now)

    @invariant()
    def it_rests_and_makes_sense(self) -> None:
        if not hasattr(self, "host"):
            return
        planner, now = self.host.planner, self.host.now
        self.host.settle()
        planner.reload.finish()
        for number, slot in planner.slots.items():
            assert len(planner.table.in_slot(number, WorkerState.READY)) <= 1
            assert len(planner.table.in_slot(number, WorkerState.STARTING)) <= 1
            assert (slot.state is SlotState.READY) == bool(planner.table.in_slot(number, WorkerState.READY))
            limit = planner.limits.of("default")
            assert slot.services == ({"default"} if number < limit or number >= 256 else set())
            # Of the workers that may serve what the slot has.
            accepting = [
                each for each in planner.workers.values() if each.accepts and slot.services and each.slot < limit
            ]
            if slot.reachable and not any(each.slot == number for each in accepting):
                assert slot.adopter is not None or not accepting
            if slot.services and any(
                each.refuses for each in planner.workers.values() if each.state is WorkerState.READY
            ):
                assert not accepting
            if slot.adopter is not None:
                adopter = planner.workers[slot.adopter]
                assert adopter in accepting or (adopter.state is WorkerState.READY and not accepting)
                assert adopter.slot != number
                assert adopter.pid in slot.holders
        leading = self.host.leading.leading()
        assert len(leading) <= 1
        assert all(planner.leadership.leads(pid) for pid in leading)
        assert sum(each.jobs.active for each in self.host.leading.of.values()) <= 1
        next_at = planner.next_at(now)
        if planner.state is HostState.RUNNING and not any(
            planner.table.in_slot(slot, *WorkerState) for slot in planner.slots
        ):
            assert next_at is not None, "no worker serves and no deadline is set"
        wanted = [planner.slots[number] for number in planner.scaling.wanted()]
        live = [each for each in planner.workers.values() if each.accepts or each.state is WorkerState.STARTING]
        empty = [slot for slot in wanted if not planner.table.in_slot(slot.number, WorkerState.READY)]
        if (
            planner.state is HostState.RUNNING
            and empty
            and not any(each.slot < planner.scaling.target for each in live)
        ):
            assert next_at is not None
            assert next_at <= now + 0.1 or all(slot.backoff.boot_failures for slot in empty)

    def _some_left(self) -> bool:
        """Deliver all messages, and end the workers that leave by themselves; returns whether there were any."""
        self.host.silence()
        for pid in list(self.host.planner.workers):
            self.host.leading.deliver_all(pid)
        self.host.settle()
        ready = [each for each in self.host.planner.workers.values() if each.state is WorkerState.READY]
        # With a deadline it was sent TERM.
        left = [each.pid for each in ready if each.resigned or each.deadline is not None]
        for pid in left:
            self.host.exit(pid)
        return bool(left)

    def teardown(self) -> None:
        if not hasattr(self, "host"):
            return
        planner = self.host.planner
        for _ in range(40):
            for worker in list(planner.workers.values()):
                if worker.state is WorkerState.STARTING:
                    if planner.ready(worker.pid, self.host.now) is None:
                        self.host.exit(worker.pid)
                elif worker.state is not WorkerState.READY:
                    self.host.exit(worker.pid)
            self.host.now += 40
            if not self._some_left() and planner.scaling.reached() and len(self.host.leading.leading()) == 1:
                break
        else:
            raise AssertionError("the planner did not reach its target, or has no leader")
        planner.stop(self.host.now, at_once=False)
        self.host.settle()
        for pid in list(planner.workers):
            self.host.exit(pid)
        assert not planner.workers
        assert planner.state is HostState.STOPPING


TestAnySequence = AnySequence.TestCase
TestAnySequence.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@pytest.mark.parametrize("target", [1, 4])
def test_every_wanted_slot_ends_up_ready(target: int) -> None:
    host = FakeSupervisor(target)
    host.running()
    assert host.planner.scaling.ready_slots() == target
    assert host.planner.scaling.reached()


def test_slots_whose_sockets_were_kept_are_served_before_their_workers_are_ready() -> None:
    supervisor = FakeSupervisor(2)
    supervisor.planner.scaling.resume({0, 1}, {256: frozenset({"default"})}, supervisor.now + 65.0)
    # Nothing is opened: both have sockets.
    assert supervisor.settle() == [Spawn(0, 1)]
    pid = supervisor.ready(0)
    assert {action for action in supervisor.done if isinstance(action, Adopt)} == {Adopt(1, pid), Adopt(256, pid)}
    supervisor.ready(1)
    assert Release(1, pid) in supervisor.done
    assert 256 in supervisor.planner.slots
    assert supervisor.expire(65.0) == [Retire(256, pid)]
