"""The private fast way to accept is used where Python has it, and the documented one elsewhere."""

from __future__ import annotations

import socket
from typing import cast

from reactorhost.system.accept import accept_descriptor, accept_plainly, fastest_accept


class Accepted:
    def detach(self) -> int:
        return 9


class Listener:
    """A socket of a Python without `_accept`."""

    def accept(self) -> tuple[Accepted, str]:
        return Accepted(), "peer"


def test_the_private_way_is_used_where_it_exists() -> None:
    assert fastest_accept(socket.socket) is accept_descriptor is not accept_plainly


def test_the_plain_way_stands_in_where_the_private_one_is_missing() -> None:
    accept = fastest_accept(Listener)
    assert accept is accept_plainly
    assert accept(cast("socket.socket", Listener())) == (9, "peer")
