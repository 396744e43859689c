"""The registry of what a forked child closes."""

from __future__ import annotations

from functools import partial

from reactorhost.system.fork import ForkRegistry


def test_a_child_closes_everything_except_what_it_keeps() -> None:
    registry = ForkRegistry()
    closed: list[str] = []
    for name in ("line", "listener", "lock"):
        registry.add(name, partial(closed.append, name))
    registry.close_in_child(keep=["listener"])
    assert closed == ["line", "lock"]


def test_a_discarded_resource_is_not_closed() -> None:
    registry = ForkRegistry()
    closed: list[str] = []
    registry.add("line", partial(closed.append, "line"))
    registry.discard("line")
    registry.discard("line")
    registry.close_in_child()
    assert closed == []


def test_a_child_that_forks_again_closes_nothing_twice() -> None:
    registry = ForkRegistry()
    closed: list[str] = []
    registry.add("line", partial(closed.append, "line"))
    registry.add("listener", partial(closed.append, "listener"))
    registry.close_in_child(keep=["listener"])
    registry.close_in_child()
    assert closed == ["line"]


def test_a_resource_that_fails_to_close_does_not_keep_the_others_open() -> None:
    def fail() -> None:
        raise OSError("bad descriptor")

    registry = ForkRegistry()
    closed: list[str] = []
    registry.add("broken", fail)
    registry.add("listener", partial(closed.append, "listener"))
    registry.close_in_child()
    assert closed == ["listener"]
