"""How many sockets a status document asks the kernel about, and how old what it has of the others is."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from reactorhost.master.listen.queue_readings import QueueReadings
from reactorhost.master.listen.slot_socket import Group, Queue


class FakeSocket:
    """A socket of a slot; `depth` is what waits at it."""

    def __init__(self, slot: int) -> None:
        self.slot, self.depth, self.reads = slot, 0, 0

    def queue(self) -> Queue:
        self.reads += 1
        return Queue(self.slot, self.depth, 100, 0)


def addresses(count: int, sockets: int) -> list[Any]:
    """Return as many addresses with as many open sockets each."""
    groups = [Group("echo", "tcp", socket.AF_INET, ("127.0.0.1", 9000 + number)) for number in range(count)]
    for group in groups:
        group.order.extend([FakeSocket(slot) for slot in range(sockets)])  # type: ignore[misc]
    return groups


def reads(groups: list[Any]) -> list[int]:
    """Return how often the first socket of each address was read."""
    return [group.order[0].reads for group in groups]


def test_few_sockets_are_all_read_for_each_document() -> None:
    groups, readings = addresses(2, 64), QueueReadings()
    readings.of(groups, 1.0)
    groups[1].order[7].depth = 5
    row = readings.of(groups, 1.1)[1]
    assert (row["depth"], row["fullest_slot"], row["fullest_depth"], row["limit"]) == (5, 7, 5, 6400)
    assert reads(groups) == [2] * 2


def test_of_many_sockets_some_are_read_in_a_second() -> None:
    groups, readings = addresses(20, 64), QueueReadings()
    readings.of(groups, 1.0)
    assert reads(groups) == [1] * 20
    for second in range(2, 12):
        # A second viewer in the same second costs no more.
        for moment in (second, second + 0.5):
            readings.of(groups, moment)
        assert sum(reads(groups)) == 20 + 2 * (second - 1)
    assert reads(groups) == [2] * 20


@pytest.mark.parametrize("changed", ["age", "sockets"])
def test_what_is_too_old_or_of_other_sockets_is_read_at_once(changed: str) -> None:
    groups, readings = addresses(20, 64), QueueReadings()
    readings.of(groups, 1.0)
    for group in groups:
        group.order[0].depth = 3
        if changed == "sockets":
            del group.order[-1]
    rows = readings.of(groups, 21.0 if changed == "age" else 1.5)
    assert [row["depth"] for row in rows] == [3] * 20
