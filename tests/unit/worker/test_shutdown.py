"""The deadline of a worker's shutdown."""

from __future__ import annotations

import pytest

from reactorhost.worker.shutdown import Deadline


def test_the_deadline_only_moves_closer() -> None:
    deadline = Deadline(closing_seconds=3.0)
    assert not deadline.passed(1e9)
    assert deadline.shorten(100.0, 30.0)
    assert not deadline.shorten(101.0, 30.0)
    assert not deadline.passed(129.9)
    assert deadline.passed(130.0)
    assert deadline.shorten(101.0, 5.0)
    assert deadline.passed(106.0)


@pytest.mark.parametrize(
    ("now", "threads", "tasks", "exit_functions"),
    [
        (100.0, 1.0, 1.0, 1.0),  # all connections ended early
        (130.0, 1.0, 1.0, 1.0),
        (131.0, 0.8, 1.0, 1.0),  # after the last flush
        (131.5, 0.3, 0.9, 1.0),
        (132.0, 0.1, 0.4, 0.64),
        (140.0, 0.1, 0.1, 0.1),
    ],
)
def test_each_step_has_a_third_of_the_time_and_all_end_before_the_kill(
    now: float, threads: float, tasks: float, exit_functions: float
) -> None:
    deadline = Deadline(closing_seconds=3.0)
    deadline.shorten(100.0, 30.0)
    assert deadline.thread_seconds(now) == pytest.approx(threads)
    assert deadline.task_seconds(now) == pytest.approx(tasks)
    assert deadline.exit_seconds(now) == pytest.approx(exit_functions)


def test_an_expired_deadline_leaves_threads_no_time() -> None:
    deadline = Deadline(closing_seconds=3.0)
    deadline.shorten(100.0, 30.0)
    deadline.expire(101.0)
    assert deadline.passed(101.0)
    assert deadline.thread_seconds(101.0) == 0.0
    assert deadline.task_seconds(101.0) == 1.0
    assert not deadline.shorten(101.0, 30.0)
