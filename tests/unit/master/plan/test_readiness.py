"""Whether a host is ready for clients, and the sentences about why it is not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from planner_settings import host_settings
from reactorhost.errors import BootError
from reactorhost.master.plan.planner import HostState, Planner
from reactorhost.master.plan.readiness import checks, reasons
from reactorhost.master.plan.worker_table import WorkerState

FULL = "every worker is full: it has max_connections connections, or no descriptors left"


def host(workers: int, *, ready: int, ready_min: int = 1, services: Mapping[str, int | None] = {}) -> Planner:
    """Return a host with so many ready workers, and others that boot."""
    planner = Planner(replace(host_settings(workers, **services), ready_min=ready_min))
    planner.decide(0.0)
    planner.forked(100, 0, 1, 0.0)
    if ready:
        planner.ready(100, 0.0)
        planner.decide(0.0)
        for slot in range(1, workers):
            planner.forked(100 + slot, slot, 1, 0.0)
            if slot < ready:
                planner.ready(100 + slot, 0.0)
    return planner


def test_a_host_is_not_ready_before_its_first_worker() -> None:
    assert reasons(host(2, ready=0)) == [
        "the host is starting",
        "0 of 2 workers serve, and 1 is needed (ready_min)",
    ]


@pytest.mark.parametrize(
    ("workers", "ready", "ready_min", "not_ready"),
    [
        (2, 1, 1, []),
        (3, 1, 2, ["1 of 3 workers serves, and 2 are needed (ready_min)"]),
        (3, 2, 2, []),
        # Of more than there are, all.
        (3, 2, 256, ["2 of 3 workers serve, and 3 are needed (ready_min)"]),
        (3, 3, 256, []),
        (1, 1, 1, []),
    ],
)
def test_ready_min_workers_have_to_serve(workers: int, ready: int, ready_min: int, not_ready: list[str]) -> None:
    assert reasons(host(workers, ready=ready, ready_min=ready_min)) == not_ready


@pytest.mark.parametrize("state", [HostState.LEAVING, HostState.STOPPING])
def test_a_host_that_is_being_stopped_is_not_ready(state: HostState) -> None:
    planner = host(1, ready=1)
    planner.state = state
    assert reasons(planner) == ["the host is being stopped"]


def test_a_worker_whose_loop_does_not_turn_does_not_serve() -> None:
    planner = host(2, ready=2, ready_min=2)
    planner.workers[101].silent = True
    assert reasons(planner) == ["1 of 2 workers serves, and 2 are needed (ready_min)"]


def test_a_replacement_beside_its_worker_counts_once() -> None:
    planner = host(2, ready=1, ready_min=2)
    planner.forked(200, 0, 2, 0.0)
    planner.workers[200].state = WorkerState.READY
    assert reasons(planner) == ["1 of 2 workers serves, and 2 are needed (ready_min)"]


def test_a_worker_above_the_wanted_ones_does_not_count() -> None:
    planner = host(2, ready=2, ready_min=1)
    planner.workers[100].state = WorkerState.DRAINING
    planner.scaling.target = 1
    assert reasons(planner) == ["0 of 1 worker serve, and 1 is needed (ready_min)"]


def test_a_host_is_not_ready_while_every_worker_is_full() -> None:
    planner = host(2, ready=2)
    planner.workers[100].full = True
    assert reasons(planner) == []
    planner.workers[101].full = True
    assert reasons(planner) == [FULL]


def test_every_condition_has_a_sentence_while_it_holds() -> None:
    found = checks(host(2, ready=2))
    assert [each.text for each in found if each.holds] == [
        "the host has started",
        "the host is not being stopped",
        "2 of 2 workers serve",
        "a worker has room for clients",
        "no service waits for a worker of its own",
    ]


@pytest.mark.parametrize(
    ("limit", "lost", "not_ready"),
    [
        (1, (), []),
        (1, (1, 2), []),
        (1, (0,), ["service 'kv' is not served: its only worker, worker 0, is starting"]),
        (2, (0,), []),
        (2, (0, 1), ["service 'kv' is not served: none of workers 0 to 1 serves"]),
        # All workers may serve it: `ready_min` is about these.
        (3, (0, 1), []),
        (None, (0, 1), []),
    ],
)
def test_a_service_that_only_some_workers_may_serve_needs_one_of_them(
    limit: int | None, lost: tuple[int, ...], not_ready: list[str]
) -> None:
    planner = host(3, ready=3, services={"web": None, "kv": limit})
    for slot in lost:
        planner.exited(100 + slot, "signal 9", BootError("signal 9"), 1.0)
    assert reasons(planner) == not_ready


def test_a_service_whose_only_worker_cannot_boot_is_named_with_the_reason() -> None:
    planner = host(2, ready=2, services={"web": None, "kv": 1})
    planner.workers[100].silent = True
    served = "service 'kv' is not served: its only worker, worker 0, "
    assert reasons(planner) == [f"{served}does not respond"]
    planner.exited(100, "signal 9", BootError("signal 9"), 1.0)
    planner.decide(1.0)
    planner.forked(300, 0, 1, 1.0)
    planner.exited(300, "exit status 3", BootError("no database"), 1.0)
    planner.decide(1.0)
    assert reasons(planner) == [f"{served}is in back-off"]
    planner.decide(40.0)
    planner.forked(301, 0, 1, 40.0)
    assert reasons(planner) == [f"{served}is starting"]
    planner.ready(301, 41.0)
    assert reasons(planner) == []


def test_a_plugin_that_allows_one_worker_limits_the_service() -> None:
    planner = host(2, ready=2, services={"web": None, "kv": None})
    planner.limits_declared({"kv": (1, "redisserver")}, 0.0)
    assert reasons(planner) == []
    planner.exited(100, "signal 9", BootError("signal 9"), 1.0)
    assert reasons(planner) == ["service 'kv' is not served: its only worker, worker 0, is starting"]
