"""The sockets of a host as the service manager is to keep them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pytest

from reactorhost.config.resolve import resolve
from reactorhost.master.listen import stored_sockets
from reactorhost.master.listen.listeners import Listeners
from reactorhost.master.listen.stored_sockets import DESCRIPTION
from reactorhost.master.plan.planner import HostState
from reactorhost.master.systemd.socket_store import SocketStore
from reactorhost.system.fork import ForkRegistry


class Host:
    """A host with one TCP address, and what it has sent to be stored."""

    def __init__(self, most: int) -> None:
        settings = resolve({"plugins": ("echo",), "listen": ("tcp://127.0.0.1:0",)}, {}, Path("/"), uid=1000)
        self.listeners = Listeners(settings, ForkRegistry())
        self.listeners.bind()
        self.kept: dict[str, int] = {}
        self.planner = SimpleNamespace(state=HostState.RUNNING)
        self.log = Mock()
        context = SimpleNamespace(listeners=self.listeners, planner=self.planner, log=self.log)
        self.store = SocketStore(context, SimpleNamespace(send=self._send), most)  # type: ignore[arg-type]
        self.store.begin(ForkRegistry())

    def _send(self, *lines: str, descriptors: Callable[[], Sequence[int]] = tuple) -> None:
        fields = dict(line.split("=") for line in lines)
        if "FDSTOREREMOVE" in fields:
            self.kept.pop(fields["FDNAME"], None)
        else:
            assert (fields["FDSTORE"], fields["FDPOLL"]) == ("1", "0")
            (self.kept[fields["FDNAME"]],) = descriptors()

    def names(self) -> set[str]:
        """Return the names of the sockets that are kept."""
        return self.kept.keys() - {DESCRIPTION}

    def described(self) -> list[tuple[int | None, bool]]:
        """Return slot and state of each socket of the description."""
        state = stored_sockets.read(self.kept[DESCRIPTION])
        assert state is not None
        return [(each.slot, each.is_open) for group in state.groups for each in group.sockets]


@pytest.fixture
def new() -> Iterator[Callable[[int], Host]]:
    with ExitStack() as closing:

        def make(most: int) -> Host:
            host = Host(most)
            closing.callback(host.listeners.close)
            closing.callback(host.store.close)
            return host

        yield make


def test_each_socket_is_stored_once_and_removed_when_it_is_closed(new: Callable[[int], Host]) -> None:
    host = new(10)
    (first,) = host.names()
    assert host.kept[first] == host.listeners.own()[0].socket.fileno()
    host.listeners.open_slot(1, ["default"])
    host.store.update()
    assert len(host.names()) == 2
    host.kept.clear()
    host.store.update()
    assert not host.kept, "nothing is sent twice"


def test_the_description_follows_in_place(new: Callable[[int], Host]) -> None:
    host = new(10)
    assert host.described() == [(0, False)]
    host.listeners.open_slot(1, ["default"])
    host.listeners.open(host.listeners.own())
    host.store.update()
    assert host.described() == [(0, True), (1, True)]
    host.listeners.close_slot(1)
    host.store.update()
    assert (host.described(), len(host.names())) == ([(0, True)], 1)


def test_a_stop_leaves_everything_to_the_next_master(new: Callable[[int], Host]) -> None:
    host = new(10)
    names = host.names()
    host.planner.state = HostState.STOPPING
    host.listeners.close()
    host.store.update()
    assert host.names() == names
    assert host.described() == [(0, False)]


def test_what_the_service_manager_has_no_room_for_is_logged_once(new: Callable[[int], Host]) -> None:
    host = new(2)
    for slot in (1, 2):
        host.listeners.open_slot(slot, ["default"])
        host.store.update()
    assert len(host.names()) == 1
    host.log.warning.assert_called_once_with("socket_store_full", stored=1, limit=2)


def test_a_socket_that_was_closed_before_it_is_sent_is_not_sent(new: Callable[[int], Host]) -> None:
    host = new(10)
    sent: list[Callable[[], Sequence[int]]] = []
    host.store.outbox = SimpleNamespace(send=lambda *lines, descriptors=tuple: sent.append(descriptors))  # type: ignore[assignment]
    host.listeners.open_slot(1, ["default"])
    host.store.update()
    host.listeners.close_slot(1)
    assert [descriptors() for descriptors in sent] == [()]


def test_the_description_ends_with_the_master(new: Callable[[int], Host]) -> None:
    host = new(10)
    descriptor = host.kept[DESCRIPTION]
    host.store.close()
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(descriptor)
