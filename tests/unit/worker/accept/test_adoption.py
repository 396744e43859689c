"""Sockets of another slot that arrive with an order: served, or closed and reported."""

from __future__ import annotations

import logging
import os
import socket
from typing import Any, cast
from unittest.mock import Mock

import pytest

from reactorhost.ipc.worker_spec import BorrowedListener
from reactorhost.logs import EventLog
from reactorhost.worker.accept.adoption import Adoption
from reactorhost.worker.state import Lifecycle, WorkerState

ORDERED = [{"service": "default", "scheme": "tcp"}, {"service": "web", "scheme": "tls"}]


class FakeLine:
    """A line with which descriptors have arrived."""

    def __init__(self, count: int) -> None:
        self.sent: list[dict[str, Any]] = []
        self.sockets = [socket.socket() for _ in range(count)]
        self.send = self.sent.append

    def take_descriptors(self, count: int) -> list[int]:
        """Return those that arrived, as the caller's."""
        return [each.detach() for each in self.sockets[:count]]


def adopted(line: FakeLine, slot: int | None, *states: WorkerState) -> list[BorrowedListener]:
    lifecycle = Lifecycle()
    for state in states:
        lifecycle.enter(state)
    slot_sockets = Mock()
    log = EventLog(logging.getLogger("test.adoption"))
    Adoption(slot_sockets, cast("Any", line), lifecycle, log).adopt(slot, ORDERED)
    return [call.args[0] for call in slot_sockets.add.call_args_list]


def test_a_worker_that_serves_adds_the_sockets_to_its_own() -> None:
    line = FakeLine(2)
    found = adopted(line, 3, WorkerState.SERVING)
    assert [(each.slot, each.service, each.scheme) for each in found] == [(3, "default", "tcp"), (3, "web", "tls")]
    for each in found:
        each.socket.close()
    assert line.sent == []


@pytest.mark.parametrize(
    ("arrived", "states", "refused"),
    [
        (1, (WorkerState.SERVING,), True),
        (2, (WorkerState.SERVING, WorkerState.DRAINING), False),
        (2, (), False),
    ],
    ids=["descriptors are missing", "it drains", "it boots"],
)
def test_sockets_that_are_not_served_are_closed_and_reported(
    arrived: int, states: tuple[WorkerState, ...], refused: bool
) -> None:
    line = FakeLine(arrived)
    numbers = [each.fileno() for each in line.sockets]
    assert adopted(line, 3, *states) == []
    assert line.sent == [{"report": "released", "slot": 3, "refused": refused}]
    for number in numbers:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(number)


def test_new_unix_sockets_that_are_not_served_are_not_reported() -> None:
    line = FakeLine(2)
    assert adopted(line, None) == []
    assert line.sent == []
