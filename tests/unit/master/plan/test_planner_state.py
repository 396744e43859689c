"""The records of a planner go to another program, and no other state is lost."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest

from fake_supervisor import FakeSupervisor
from planner_settings import host_settings
from reactorhost.config.resolve import resolve
from reactorhost.config.settings import Settings
from reactorhost.config.worker_count import WorkerRange
from reactorhost.errors import ReactorhostError
from reactorhost.ipc.typed_json import from_json, to_json
from reactorhost.master.plan import planner_state
from reactorhost.master.plan.actions import Adopt
from reactorhost.master.plan.autoscale import AutoscaleRecord, Step
from reactorhost.master.plan.planner import Planner
from reactorhost.master.plan.slot import SlotState


def test_a_host_with_a_slot_that_leaves_and_one_in_back_off_continues() -> None:
    host = FakeSupervisor(3)
    first, _, third = host.running()
    host.planner.full(first, full=True)
    host.planner.scaling.request(2)
    host.settle()
    host.exit(third)
    host.end(first)
    host.settle()
    # The replacement fails too.
    host.exit(host.starting(0))
    host.settle()
    before = host.planner
    host.hand_over()
    assert (host.planner.slots, host.planner.workers) == (before.slots, before.workers)
    assert [slot.state for slot in host.planner.slots.values()] == [
        SlotState.BACKOFF,
        SlotState.READY,
        SlotState.LEAVING,
    ]
    assert host.planner.next_at(host.now) == before.next_at(host.now)
    assert host.settle() == []
    host.now += 40
    host.settle()
    host.ready(0)
    assert host.planner.scaling.reached()


def test_a_slot_that_no_worker_could_adopt_is_offered_again_by_the_next_program() -> None:
    host = FakeSupervisor(2)
    first, second = host.running()
    host.exit(first)
    assert Adopt(0, second) in host.settle()
    host.planner.adoption.refused(0, second, host.now)
    host.hand_over()
    assert host.settle() == []
    assert host.planner.next_at(host.now) == host.now + 1
    host.now += 1
    assert host.settle() == [Adopt(0, second)]


@pytest.mark.parametrize(("configured", "target"), [(2, 3), (4, 4)], ids=["the same setting", "another setting"])
def test_a_changed_number_of_workers_counts_and_else_what_an_operator_has_requested(
    configured: int, target: int
) -> None:
    host = FakeSupervisor(2)
    host.running()
    host.planner.scaling.request(3)
    host.settle()
    host.ready(2)
    state = planner_state.export(host.planner)
    planner = Planner(replace(host_settings(2), workers=configured))
    planner_state.restore(planner, state)
    assert planner.scaling.target == target


@pytest.mark.parametrize(
    ("before", "after", "wanted"),
    [("1-4", "1-4", (3, None)), ("1-4", "1-2", (2, "1-2")), ("1-4", "4-8", (4, "4-8")), ("1-4", "2", (2, None))],
)
def test_a_number_that_an_operator_has_fixed_stays_unless_the_setting_was_changed(
    before: str, after: str, wanted: tuple[int, str | None]
) -> None:
    host = FakeSupervisor(1)
    host.planner = Planner(workers_setting(before))
    host.planner.autoscale.range = None
    host.planner.scaling.request(3)
    document = to_json(planner_state.export(host.planner))
    planner = Planner(workers_setting(after))
    planner_state.restore(planner, from_json(planner_state.PlannerState, json.loads(json.dumps(document))))
    limits = planner.autoscale.range
    assert (planner.scaling.target, None if limits is None else str(limits)) == wanted


def workers_setting(workers: str) -> Settings:
    return resolve({"plugins": ("echo",), "workers": workers}, {}, Path("/"), uid=1000)


def test_a_host_that_follows_its_load_remembers_how_patient_it_has_become() -> None:
    planner = Planner(workers_setting("1-4"))
    record = AutoscaleRecord(WorkerRange(1, 4), Step(2, "use 90%"), 90.0, 2, 95.0, 90.0, 80.0, 240.0)
    planner.autoscale.restore(record)
    other = Planner(workers_setting("1-4"))
    planner_state.restore(other, planner_state.export(planner))
    assert other.autoscale.export() == record


def test_a_host_is_idle_between_operations() -> None:
    host = FakeSupervisor(2)
    assert not planner_state.is_idle(host.planner)
    pids = host.running()
    assert planner_state.is_idle(host.planner)
    host.planner.reload.request()
    assert not planner_state.is_idle(host.planner)
    assert host.planner.begin_reload()
    assert not planner_state.is_idle(host.planner)
    host.planner.reload.abandon(ReactorhostError("x"))
    assert planner_state.is_idle(host.planner)
    host.planner.recycle(pids[0], Mock())
    assert not planner_state.is_idle(host.planner)
    host.planner.recycling.abandon(ReactorhostError("x"))
    assert planner_state.is_idle(host.planner)
    host.planner.stop(host.now, at_once=False)
    assert not planner_state.is_idle(host.planner)


# Of each part of the planner, what is exported, and what an idle planner need not pass on.
EXPORTED = {
    "planner": {"generation", "slots", "workers"},
    "scaling": {"target"},
    "limits": {"_limits", "_plugins"},
    "overload": {"avoided"},
    "leadership": {"state", "since", "_pid", "_why"},
    "recycling": {"backoff"},
    "recycle_limits": {"recycled", "_shares"},
    "autoscale": {
        "range",
        "step",
        "step_at",
        "_wanted",
        "_held_until",
        "_grown_at",
        "_shrunk_at",
        "_patience",
    },
}
LEFT_OUT = {
    # `table` is the two mappings; RUNNING is the only state in which it is idle; what is configured is read again.
    "planner": {"state", "table", "settings", "_jitter"},
    # A client that follows the scaling is waited for.
    "scaling": {"_watcher", "_reported"},
    "reload": {
        "state",
        "requested",
        "generation",
        "waiting",
        "slot",
        "replaced",
        "total",
        "error",
        "_watchers",
        "_queue",
        "_reported",
    },
    "recycling": {"_requests"},
    "stopping": {"_begin_at", "_end_at", "_at_once"},
    "recycle_limits": {"_jitter"},
    # It begins with samples of its own.
    "autoscale": {"load", "_sampled_at", "_growth", "_calm_since", "_peak"},
}
PARTS = (
    "reload",
    "recycling",
    "limits",
    "scaling",
    "adoption",
    "overload",
    "leadership",
    "stopping",
    "recycle_limits",
    "autoscale",
)


@pytest.mark.parametrize("name", ["planner", *PARTS])
def test_every_attribute_is_exported_or_left_out_for_a_reason(name: str) -> None:
    planner = FakeSupervisor(1).planner
    part = planner if name == "planner" else getattr(planner, name)
    others = (
        {*PARTS}
        if name == "planner"
        else {"_table", "_limits", "_scaling", "_reload", "_recycling"} - EXPORTED.get(name, set())
    )
    names = set(vars(part)) - others
    assert names == EXPORTED.get(name, set()) | LEFT_OUT.get(name, set())
