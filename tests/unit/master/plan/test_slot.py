"""The states of a slot and the table of their transitions."""

from __future__ import annotations

import itertools

import pytest

from reactorhost.master.plan.slot import TRANSITIONS, Slot, SlotEvent, SlotState

UNREACHED = {SlotState.OPENING, SlotState.OPENING_BACKOFF}
UNWANTED = {SlotState.LEAVING, SlotState.RETIRING}
PAIRS = list(itertools.product(SlotState, SlotEvent))


@pytest.mark.parametrize(("state", "event"), PAIRS)
def test_every_event_changes_the_state_by_the_table_or_is_refused(state: SlotState, event: SlotEvent) -> None:
    slot = Slot(0, state=state)
    if (state, event) in TRANSITIONS:
        slot.apply(event)
        assert slot.state is TRANSITIONS[state, event]
    else:
        with pytest.raises(KeyError):
            slot.apply(event)
        assert slot.state is state


def test_every_state_is_reached_from_a_new_slot_and_left_again() -> None:
    reached = {SlotState.OPENING}
    while True:
        further = reached | {after for (before, _), after in TRANSITIONS.items() if before in reached}
        if further == reached:
            break
        reached = further
    assert reached == set(SlotState)
    assert {before for (before, _), after in TRANSITIONS.items() if after is not before} == set(SlotState)


def test_clients_that_reached_a_slot_reach_it_until_it_is_closed() -> None:
    for (before, _), after in TRANSITIONS.items():
        if before not in UNREACHED:
            assert after not in UNREACHED


def test_only_a_ready_worker_lets_clients_reach_a_slot() -> None:
    opened = [event for (before, event), after in TRANSITIONS.items() if before in UNREACHED and after not in UNREACHED]
    assert opened == [SlotEvent.READY]


def test_a_slot_becomes_unwanted_and_wanted_by_these_events_alone() -> None:
    for (before, event), after in TRANSITIONS.items():
        assert (before not in UNWANTED and after in UNWANTED) == (event is SlotEvent.UNWANTED)
        assert (before in UNWANTED and after not in UNWANTED) == (event is SlotEvent.WANTED)


def test_a_slot_is_retired_only_when_it_leaves() -> None:
    assert [before for before, event in TRANSITIONS if event is SlotEvent.RETIRE] == [SlotState.LEAVING]


@pytest.mark.parametrize(("state", "event"), list(TRANSITIONS))
def test_only_a_slot_that_leaves_has_a_time_to_retire(state: SlotState, event: SlotEvent) -> None:
    slot = Slot(0, state=state, retire_at=7.0)
    slot.apply(event)
    assert (slot.retire_at is not None) == (slot.state is SlotState.LEAVING)


def test_the_status_document_has_four_states() -> None:
    assert {Slot(0, state=state).status for state in SlotState} == {"starting", "backoff", "ready", "leaving"}
