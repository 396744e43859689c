"""The echo plugin, called with a fake connection."""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from hypothesis import given
from hypothesis import strategies as st

import reactorhost_echo

if TYPE_CHECKING:
    from reactorhost import Connection


@dataclass
class FakeConnection:
    sent: list[bytes] = field(default_factory=list)

    def send(self, data: bytes) -> bool:
        self.sent.append(data)
        return True


def received(*pieces: bytes) -> list[bytes]:
    connection = FakeConnection()
    for piece in pieces:
        reactorhost_echo.receive(cast("Connection", connection), piece)
    return connection.sent


@given(st.lists(st.binary(min_size=1)))
def test_every_piece_is_sent_back_whole_and_in_order(pieces: list[bytes]) -> None:
    assert received(*pieces) == pieces


def test_the_entry_point_names_this_module() -> None:
    (entry_point,) = importlib.metadata.entry_points(group="reactorhost", name="echo")
    assert entry_point.load() is reactorhost_echo
