"""Services with a number of workers: which slots have their sockets, and which workers may adopt them."""

from __future__ import annotations

import pytest

from fake_supervisor import FakeSupervisor
from reactorhost.master.plan.actions import (
    Adopt,
    Avoid,
    Drain,
    Move,
    Open,
    Refuse,
    Release,
    Retire,
    Spawn,
    Steer,
)
from reactorhost.master.plan.worker_table import WorkerState


def served(host: FakeSupervisor) -> list[str]:
    """Return the services of each slot."""
    return [" ".join(sorted(slot.services)) for _, slot in sorted(host.planner.slots.items())]


@pytest.mark.parametrize(
    ("operator", "plugins", "limit", "limited"),
    [
        (None, None, 256, {}),
        (3, None, 3, {}),
        (None, 2, 2, {"a": (2, "chat")}),
        (3, 2, 2, {"a": (2, "chat")}),
        (2, 3, 2, {}),
        (2, 2, 2, {}),
        (1000, None, 1000, {}),
    ],
)
def test_the_smaller_number_of_operator_and_plugins_applies(
    operator: int | None, plugins: int | None, limit: int, limited: dict[str, tuple[int, str]]
) -> None:
    host = FakeSupervisor(4, a=operator)
    host.declare(a=plugins)
    assert host.planner.limits.of("a") == limit
    assert host.planner.limits.limited() == limited


def test_at_a_start_the_sockets_that_plugins_do_not_allow_are_closed_before_another_worker_is_forked() -> None:
    host = FakeSupervisor(3, one=None, two=2, all=None)
    assert host.settle() == [Open(0), Open(1), Open(2), Spawn(0, 1)]
    assert served(host) == ["all one two", "all one two", "all one"]
    host.planner.ready(host.starting(0), host.now)
    assert host.declare(one=1, two=5) == [Move("one", (1, 2), None, ()), Spawn(1, 1), Spawn(2, 1)]
    assert served(host) == ["all one two", "all two", "all"]
    assert host.declare(one=1) == [], "nothing has changed"


def test_a_service_is_adopted_only_by_workers_that_may_serve_it() -> None:
    host = FakeSupervisor(4, a=2)
    first, second, *_ = host.running()
    host.exit(second)
    assert Adopt(1, first) in host.settle()
    host.exit(first)
    assert host.settle() == [Spawn(0, 1)], "no other worker may serve it, so its clients wait"
    second = host.ready(1)
    assert Adopt(0, second) in host.done


def test_the_clients_of_a_service_with_one_worker_wait_for_it() -> None:
    host = FakeSupervisor(2, a=1)
    first, _ = host.running()
    assert host.silence(first) == []
    assert host.silence() == []
    host.planner.full(first, full=True)
    assert Adopt(0, 1001) not in host.settle()
    host.exit(first)
    assert host.settle() == [Spawn(0, 1), Avoid(())]
    assert host.planner.slots[0].adopter is None
    host.ready(0)
    assert not [action for action in host.done if isinstance(action, Adopt | Release)]


def test_the_adopter_is_the_worker_that_may_serve_most_and_is_replaced_by_one_that_may_serve_more() -> None:
    host = FakeSupervisor(4, some=2, more=3, all=None)
    first, second, third, fourth = host.running()
    host.silence(second, third)
    host.exit(first)
    assert Adopt(0, fourth) in host.settle()
    assert host.silence(second)[:2] == [Release(0, fourth), Adopt(0, third)]
    assert host.silence()[:2] == [Release(0, third), Adopt(0, second)]


def test_an_adopter_without_descriptors_is_not_ordered_again_although_it_may_serve_more() -> None:
    host = FakeSupervisor(3, some=2, all=None)
    first, second, third = host.running()
    host.exit(first)
    assert Adopt(0, second) in host.settle()
    host.planner.adoption.refused(0, second, host.now)
    host.now += 1
    assert host.settle() == [Adopt(0, third)]
    assert host.settle() == []


def test_a_slot_below_the_limit_is_not_in_back_off_while_no_other_one_serves() -> None:
    host = FakeSupervisor(3, a=1, all=None)
    pid, *_ = host.running()
    for _ in range(10):
        host.exit(pid)
        host.settle()
        next_at = host.planner.next_at(host.now)
        assert next_at is not None
        if not host.planner.table.in_slot(0, *WorkerState):
            assert next_at <= host.now + 0.1001
            host.now = next_at
            host.settle()
        pid = host.ready(0)


def test_clients_are_refused_while_every_worker_that_may_serve_them_is_full() -> None:
    host = FakeSupervisor(3, a=1, all=None)
    first, second, third = host.running()
    host.planner.full(first, full=True)
    assert host.settle() == [Adopt(0, second), Avoid((0,)), Refuse(first, ("a",))]
    host.planner.full(second, full=True)
    host.planner.full(third, full=True)
    assert host.settle()[-3:] == [Refuse(first, ("a", "all")), Refuse(second, ("all",)), Refuse(third, ("all",))]
    host.planner.full(first, full=False)
    assert [action for action in host.settle() if isinstance(action, Refuse)] == [
        Refuse(first, ()),
        Refuse(second, ()),
        Refuse(third, ()),
    ]


def test_a_larger_number_is_for_the_next_workers_of_slots() -> None:
    host = FakeSupervisor(3, a=None, b=None)
    host.running()
    host.declare(a=1)
    host.start_reload()
    host.settle()
    host.planner.ready(host.starting(0), host.now)
    assert not [action for action in host.declare(a=2) if isinstance(action, Move)]
    assert served(host) == ["a b", "a b", "b", "a"]


def test_a_smaller_number_moves_sockets_to_a_slot_that_leaves() -> None:
    host = FakeSupervisor(3)
    pids = host.running()
    done = host.declare(default=1)
    assert done == [Move("default", (1, 2), 256, tuple(pids[1:])), Steer((256,)), Adopt(256, pids[0])]
    assert [slot.status for slot in host.planner.slots.values()] == ["ready", "ready", "ready", "leaving"]
    assert host.planner.scaling.reached()
    assert host.expire(65.0) == [], "the workers of the other slots have not closed their copies"
    for pid in pids[1:]:
        assert not host.planner.adoption.released(256, pid, host.now)
    assert host.expire(1.0) == [Retire(256, pids[0])]
    assert host.planner.adoption.released(256, pids[0], host.now)
    host.planner.adoption.retired(256)
    assert host.settle() == []


def test_sockets_that_were_given_up_wait_for_a_worker_that_may_serve_them() -> None:
    host = FakeSupervisor(3)
    first, *_ = host.running()
    host.declare(default=1)
    host.exit(first)
    assert host.settle() == [Spawn(0, 1)]
    next_pid = host.ready(0)
    assert host.done[-1] == Adopt(256, next_pid)


def test_an_adopter_gets_the_listeners_that_it_may_serve_with_a_larger_number() -> None:
    host = FakeSupervisor(3, a=None, b=None)
    first, second, third = host.running()
    host.declare(a=2)
    host.exit(first)
    host.exit(second)
    assert Adopt(1, third) in host.settle(), "without the listeners of the limited service"
    host.planner.ready(host.starting(0), host.now)
    done = host.declare(a=3)
    assert done.index(Release(1, third)) < done.index(Adopt(1, third))


def test_a_second_change_gives_up_in_a_slot_of_its_own() -> None:
    host = FakeSupervisor(4)
    host.running()
    host.declare(default=3)
    assert Move("default", (1, 2), 257, (1001, 1002)) in host.declare(default=1)
    assert sorted(host.planner.slots) == [0, 1, 2, 3, 256, 257]


def test_a_scaling_keeps_the_number_and_opens_only_what_it_allows() -> None:
    host = FakeSupervisor(4, a=2, b=None)
    pids = host.running()
    host.planner.scaling.request(1)
    assert {Adopt(1, pids[0]), Adopt(3, pids[0])} <= set(host.settle())
    for pid in pids[1:]:
        host.exit(pid)
    host.expire(65.0)
    for number in (1, 2, 3):
        host.planner.adoption.released(number, pids[0], host.now)
        host.planner.adoption.retired(number)
    host.planner.scaling.request(4)
    assert [action for action in host.settle() if isinstance(action, Open)] == [Open(1), Open(2), Open(3)]
    assert served(host) == ["a b", "a b", "b", "b"]


def test_a_host_that_stops_changes_no_sockets() -> None:
    host = FakeSupervisor(2)
    pids = host.running()
    host.planner.stop(host.now, at_once=False)
    assert host.declare(default=1) == [Drain(pid, 3.5, final=True) for pid in pids]
    assert host.planner.limits.of("default") == 256
