"""Timers are due in order, and cancelled ones are dropped."""

from __future__ import annotations

import math

from hypothesis import given, strategies

from reactorhost.reactor.timers import Timers


def test_timers_come_due_soonest_first_and_equal_times_keep_their_order() -> None:
    timers = Timers()
    for when, name in ((3.0, "late"), (1.0, "first"), (1.0, "second"), (2.0, "middle")):
        timers.add(when, print, (name,))
    assert [timer.args[0] for timer in timers.pop_due(2.0)] == ["first", "second", "middle"]
    assert timers.soonest == 3.0


def test_a_cancelled_timer_is_not_due() -> None:
    timers = Timers()
    soon, later = timers.add(1.0, print, ()), timers.add(2.0, print, ())
    soon.cancel()
    soon.cancel()
    assert timers.soonest <= 2.0, "a turn for nothing is allowed, and one that comes late is not"
    assert timers.pop_due(1.0) == []
    assert timers.soonest == 2.0
    assert timers.pop_due(5.0) == [later]
    assert timers.soonest == math.inf
    assert len(timers) == 0


def test_cancelling_drops_what_the_timer_held() -> None:
    timers = Timers()
    held = object()
    timer = timers.add(1.0, print, (held,))
    timer.cancel()
    assert timer.callback is None
    assert timer.args == ()


def test_cancelled_timers_do_not_pile_up() -> None:
    timers = Timers()
    keep = timers.add(9.0, print, ())
    for _ in range(10_000):
        timers.add(5.0, print, ()).cancel()
    assert len(timers) == 1
    assert len(timers._heap) < 200
    assert timers.pop_due(9.0) == [keep]


@given(
    strategies.lists(strategies.tuples(strategies.integers(0, 20), strategies.booleans())), strategies.integers(0, 20)
)
def test_exactly_the_kept_timers_up_to_now_are_due(plan: list[tuple[int, bool]], now: int) -> None:
    timers = Timers()
    made = [(when, kept, timers.add(float(when), print, ())) for when, kept in plan]
    for _, kept, timer in made:
        if not kept:
            timer.cancel()
    due = timers.pop_due(float(now))
    assert [timer.when for timer in due] == sorted(float(when) for when, kept, _ in made if kept and when <= now)
    assert len(timers) == sum(1 for when, kept, _ in made if kept and when > now)
