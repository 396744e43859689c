"""Descriptors that are kept are free for the code that needs them, and only for it."""

from __future__ import annotations

import errno
import itertools
import os
from collections.abc import Iterator

import pytest

from reactorhost.system.descriptor_reserve import DescriptorReserve
from reactorhost.system.fork import ForkRegistry

LIMIT = 5


@pytest.fixture
def open_now(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[int]]:
    """Let the reserve open descriptors of a process that may have five; yields those that are open."""
    descriptors: set[int] = set()
    numbers = itertools.count()

    def open_one(*arguments: object) -> int:
        if len(descriptors) == LIMIT:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        number = next(numbers)
        descriptors.add(number)
        return number

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", open_one)
        patched.setattr(os, "close", descriptors.remove)
        yield descriptors


def test_the_reserve_is_free_within_and_kept_again_afterwards(open_now: set[int]) -> None:
    reserve = DescriptorReserve(ForkRegistry(), 3)
    assert len(open_now) == 3
    with reserve.released():
        assert not open_now
    assert len(open_now) == 3


def test_what_the_code_has_kept_is_missing_until_the_next_time(open_now: set[int]) -> None:
    reserve = DescriptorReserve(ForkRegistry(), 3)
    taken = {100, 101, 102}
    with reserve.released():
        open_now |= taken
    assert len(open_now) == LIMIT
    open_now -= taken
    with reserve.released():
        pass
    assert len(open_now) == 3


def test_a_forked_child_keeps_none(open_now: set[int]) -> None:
    registry = ForkRegistry()
    DescriptorReserve(registry, 3)
    registry.close_in_child()
    assert not open_now
