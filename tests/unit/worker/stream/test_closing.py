"""The table of a connection's end, by all sequences of its events, and the deadline that progress moves."""

from __future__ import annotations

import itertools

import pytest

from reactorhost import CloseReason
from reactorhost.worker.stream.closing import TRANSITIONS, CloseAction, CloseEvent, CloseProgress, CloseState

ENDS = {CloseAction.END, CloseAction.RESET}


def steps(events: tuple[CloseEvent, ...]) -> list[tuple[CloseState, CloseAction]]:
    """Return the states and actions of a connection that meets these events."""
    state, taken = CloseState.OPEN, []
    for event in events:
        state, action = TRANSITIONS[state][event]
        taken.append((state, action))
    return taken


def test_every_sequence_of_six_events_keeps_the_rules() -> None:
    order = list(CloseState)
    for events in itertools.product(CloseEvent, repeat=6):
        taken = steps(events)
        states = [CloseState.OPEN, *(state for state, _ in taken)]
        actions = [action for _, action in taken]
        positions = [order.index(state) for state in states]
        assert positions == sorted(positions), "a connection does not come back"
        ends = sum(action in ENDS for action in actions)
        assert ends == (states[-1] is CloseState.CLOSED), "the close hooks are called once, and with the end"
        assert actions.count(CloseAction.SEND_FIN) <= 1
        if states[-1] is not CloseState.CLOSED:
            assert TRANSITIONS[states[-1]][CloseEvent.DEADLINE][0] is CloseState.CLOSED, "its deadline ends it"


def test_nothing_happens_to_a_closed_connection() -> None:
    assert set(TRANSITIONS[CloseState.CLOSED].values()) == {(CloseState.CLOSED, CloseAction.NONE)}


def test_a_failed_send_ends_only_a_connection_that_is_being_closed() -> None:
    failed = {state: TRANSITIONS[state][CloseEvent.SEND_FAILED][0] for state in CloseState}
    assert failed == {
        CloseState.OPEN: CloseState.OPEN,
        CloseState.FLUSHING: CloseState.CLOSED,
        CloseState.LINGERING: CloseState.CLOSED,
        CloseState.CLOSED: CloseState.CLOSED,
    }


@pytest.mark.parametrize(
    ("events", "actions"),
    [
        ((CloseEvent.CLOSE, CloseEvent.ALL_SENT, CloseEvent.PEER_EOF), ["NONE", "SEND_FIN", "END"]),
        ((CloseEvent.PEER_EOF, CloseEvent.SERVED), ["NONE", "END"]),
        ((CloseEvent.CLOSE, CloseEvent.DEADLINE), ["NONE", "RESET"]),
        ((CloseEvent.CLOSE, CloseEvent.ALL_SENT, CloseEvent.LINGER_DEADLINE), ["NONE", "SEND_FIN", "END"]),
        ((CloseEvent.ABORT, CloseEvent.CLOSE), ["RESET", "NONE"]),
    ],
)
def test_actions_of_common_sequences(events: tuple[CloseEvent, ...], actions: list[str]) -> None:
    assert [action.name for _, action in steps(events)] == actions


# Progress


def test_without_progress_the_time_is_over_when_it_was_announced() -> None:
    progress = CloseProgress(CloseReason.LOCAL)
    at = progress.start(100.0, 10.0, 500, moves=True)
    while not progress.is_over(at, 500, 0):
        at = progress.check_at(at)
    assert at == 110.0


@pytest.mark.parametrize("kind", ["taken by the kernel", "acknowledged by the client"])
def test_progress_moves_the_deadline(kind: str) -> None:
    progress = CloseProgress(CloseReason.LOCAL)
    at = progress.start(0.0, 10.0, 0, moves=True)
    sent, unacknowledged = 0, 100_000
    while at < 60.0:
        # Once in 8 seconds.
        if kind == "taken by the kernel":
            sent = int(at // 8)
        else:
            unacknowledged = 100_000 - int(at // 8)
        assert not progress.is_over(at, sent, unacknowledged)
        at = progress.check_at(at)
    while not progress.is_over(at, sent, unacknowledged):
        at = progress.check_at(at)
    assert 66.0 <= at <= 72.5


def test_a_deadline_that_does_not_move_is_checked_once() -> None:
    progress = CloseProgress(CloseReason.SHUTDOWN)
    assert progress.start(0.0, 1.0, 0, moves=False) == 1.0
    assert progress.is_over(1.0, 1_000_000, 1_000_000)
