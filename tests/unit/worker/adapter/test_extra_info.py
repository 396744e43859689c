"""Addresses as asyncio's transports have them."""

from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import Any, cast

import pytest

from reactorhost.address import Endpoint
from reactorhost.worker.adapter.extra_info import find


@pytest.mark.parametrize(
    ("endpoint", "address"),
    [
        (Endpoint("192.0.2.1", 80), ("192.0.2.1", 80)),
        (Endpoint("2001:db8::1", 80), ("2001:db8::1", 80, 0, 0)),
        (Endpoint("fe80::1%lo", 80), ("fe80::1%lo", 80, 0, socket.if_nametoindex("lo"))),
        (Endpoint("fe80::1%gone", 80), ("fe80::1%gone", 80, 0, 0)),
        (Endpoint("unix", 0), ""),
        (Endpoint("unix:/run/s", 0), "/run/s"),
        (Endpoint("unix:@name", 0), b"\0name"),
    ],
)
def test_addresses_are_those_of_the_socket_module(endpoint: Endpoint, address: Any) -> None:
    stream = cast("Any", SimpleNamespace(peer=endpoint, local=endpoint))
    assert find(stream, "peername", None) == find(stream, "sockname", None) == address
