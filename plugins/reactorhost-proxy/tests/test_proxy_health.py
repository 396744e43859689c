"""The states of a server's health."""

from __future__ import annotations

from reactorhost_proxy.health import Health


def fail(health: Health, times: int) -> list[bool]:
    return [health.failed() for _ in range(times)]


def test_it_takes_failures_one_after_another_to_go_down() -> None:
    health = Health(rise=2, fall=3, slow_start=0)
    assert fail(health, 2) == [False, False]
    health.client_connected()
    assert fail(health, 2) == [False, False]
    assert not health.check_succeeded(0.0)
    assert fail(health, 3) == [False, False, True]
    assert not health.is_up
    assert fail(health, 3) == [False, False, False], "it goes down once"


def test_it_takes_successes_one_after_another_to_come_up() -> None:
    health = Health(rise=2, fall=1, slow_start=0)
    health.failed()
    assert not health.check_succeeded(0.0)
    health.failed()
    assert not health.check_succeeded(1.0)
    assert health.check_succeeded(2.0)
    assert health.is_up
    assert not health.check_succeeded(3.0), "it comes up once"


def test_a_client_that_had_connected_before_does_not_bring_it_up() -> None:
    health = Health(rise=1, fall=1, slow_start=0)
    health.failed()
    health.client_connected()
    assert not health.is_up


def test_failures_before_it_came_up_do_not_count() -> None:
    health = Health(rise=1, fall=2, slow_start=0)
    fail(health, 5)
    health.check_succeeded(0.0)
    assert fail(health, 2) == [False, True]


def test_the_share_grows_after_it_came_up_only() -> None:
    health = Health(rise=1, fall=1, slow_start=10.0)
    assert health.share(0.0) == 1.0
    health.failed()
    health.check_succeeded(100.0)
    assert [health.share(100.0 + seconds) for seconds in (0, 1, 5, 10, 11)] == [0.1, 0.1, 0.5, 1.0, 1.0]


def test_without_a_slow_start_the_share_is_whole_at_once() -> None:
    health = Health(rise=1, fall=1, slow_start=0)
    health.failed()
    health.check_succeeded(5.0)
    assert health.share(5.0) == 1.0
