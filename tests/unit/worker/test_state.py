"""The states of a worker."""

from __future__ import annotations

import itertools

import pytest

from reactorhost.worker.state import Lifecycle, WorkerState

ALLOWED = {
    (WorkerState.BOOTING, WorkerState.SERVING),
    (WorkerState.BOOTING, WorkerState.DRAINING),
    (WorkerState.SERVING, WorkerState.DRAINING),
    (WorkerState.DRAINING, WorkerState.LEAVING),
}


@pytest.mark.parametrize(("before", "after"), list(itertools.product(WorkerState, repeat=2)))
def test_only_the_transitions_forward_are_allowed(before: WorkerState, after: WorkerState) -> None:
    lifecycle = Lifecycle()
    lifecycle.state = before
    if (before, after) in ALLOWED:
        lifecycle.enter(after)
        assert lifecycle.state is after
    else:
        with pytest.raises(AssertionError, match=f"from {before.value} to {after.value}"):
            lifecycle.enter(after)


def test_a_worker_accepts_until_it_drains() -> None:
    lifecycle = Lifecycle()
    accepting = [lifecycle.accepting]
    for state in (WorkerState.SERVING, WorkerState.DRAINING, WorkerState.LEAVING):
        lifecycle.enter(state)
        accepting.append(lifecycle.accepting)
    assert accepting == [True, True, False, False]
