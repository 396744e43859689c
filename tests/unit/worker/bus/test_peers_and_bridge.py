"""Two ways to other workers, used as one."""

from __future__ import annotations

from unittest.mock import Mock

import pytest

from reactorhost.bus.refs import Origin
from reactorhost.worker.bus.peers_and_bridge import PeersAndBridge

OWN, OTHER = Origin(b"own-host", b"worker-1"), Origin(b"other-ho", b"worker-2")


@pytest.fixture
def both() -> PeersAndBridge:
    return PeersAndBridge(OWN.host, Mock(), Mock())


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("want", ("t:a",)),
        ("drop", ("t:a",)),
        ("publish", ("t:a", 1, b"data")),
        ("set_member", ("room\x001", b"info")),
        ("stop", ()),
    ],
)
def test_what_concerns_all_workers_goes_both_ways(
    method: str, arguments: tuple[object, ...], both: PeersAndBridge
) -> None:
    getattr(both, method)(*arguments)
    for each in (both.peers, both.bridge):
        getattr(each, method).assert_called_once_with(*arguments)


@pytest.mark.parametrize("origin", [OWN, OTHER], ids=["own host", "other host"])
def test_what_is_for_one_connection_goes_to_its_host_only(origin: Origin, both: PeersAndBridge) -> None:
    taken, other = (both.peers, both.bridge) if origin is OWN else (both.bridge, both.peers)
    assert both.to_connection(origin, 7, b"data") is taken.to_connection.return_value  # type: ignore[attr-defined]
    taken.to_connection.assert_called_once_with(origin, 7, b"data")  # type: ignore[attr-defined]
    other.to_connection.assert_not_called()  # type: ignore[attr-defined]


def test_presence_is_that_of_both(both: PeersAndBridge) -> None:
    both.peers.presence.return_value = [(OWN, {"a": b""})]  # type: ignore[attr-defined]
    both.bridge.presence.return_value = [(OTHER, {"b": b""})]  # type: ignore[attr-defined]
    assert list(both.presence()) == [(OWN, {"a": b""}), (OTHER, {"b": b""})]
