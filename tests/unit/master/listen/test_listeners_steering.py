"""The sockets of a group that new connections reach: not those of slots that leave, nor of full ones if others stay."""

from __future__ import annotations

import socket
from typing import cast
from unittest.mock import Mock

import pytest

from planner_settings import host_settings
from reactorhost.master.listen import reuseport_filter
from reactorhost.master.listen.listeners import Listeners
from reactorhost.master.listen.slot_socket import Group, SlotSocket
from reactorhost.system.fork import ForkRegistry


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> list[list[int] | None]:
    """Return the indexes that each attached program leaves out; None for a program that was detached."""
    attached: list[list[int] | None] = []

    def attach(sock: socket.socket, sockets: int, left_out: list[int]) -> bool:
        attached.append(left_out)
        return True

    def detach(sock: socket.socket) -> bool:
        attached.append(None)
        return True

    monkeypatch.setattr(reuseport_filter, "attach", attach)
    monkeypatch.setattr(reuseport_filter, "detach", detach)
    return attached


def listeners(scheme: str, slots: int = 3) -> Listeners:
    made = Listeners(host_settings(slots), ForkRegistry())
    group = Group("default", scheme, socket.AF_INET, ("127.0.0.1", 9000))
    group.order += [SlotSocket(slot, group, cast("socket.socket", Mock()), is_open=True) for slot in range(slots)]
    made.groups.append(group)
    return made


def test_full_slots_are_left_out_until_they_have_room(programs: list[list[int] | None]) -> None:
    made = listeners("tcp")
    made.avoid((1,))
    made.avoid(())
    assert programs == [[1], None]


def test_slots_that_leave_are_left_out_and_full_ones_only_while_another_one_stays(
    programs: list[list[int] | None],
) -> None:
    made = listeners("tcp")
    assert made.steer_away((2,))
    made.avoid((1,))
    made.avoid((0, 1))
    assert programs == [[2], [1, 2], [2]]
    assert made.steered


def test_datagrams_are_not_steered_past_full_slots(programs: list[list[int] | None]) -> None:
    made = listeners("udp")
    made.avoid((1,))
    assert programs == []
