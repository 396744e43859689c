"""Sockets that a service manager kept: what a host with the same or other settings makes of them."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import Mock

import pytest

from reactorhost.config.resolve import resolve
from reactorhost.config.settings import MAX_WORKERS
from reactorhost.master.listen import stored_sockets
from reactorhost.master.listen.listeners import Listeners
from reactorhost.master.listen.passed_sockets import PassedSockets
from reactorhost.master.listen.stored_sockets import DESCRIPTION, leaving_slots
from reactorhost.system.fork import ForkRegistry

SERVICES = ["default"]


class Store:
    """Hosts one after the other, and the copies of their sockets by name."""

    def __init__(self, closing: ExitStack) -> None:
        self._closing = closing
        self.kept: dict[str, int] = {}
        self.log = Mock()

    def host(self, *listen: str, workers: int = 2) -> Listeners:
        """Return the bound listeners of the next host."""
        given = {"plugins": ("echo",), "listen": listen, "workers": str(workers)}
        passed = PassedSockets.of((os.dup(descriptor), name) for name, descriptor in self.kept.items())
        listeners = Listeners(resolve(given, {}, Path("/"), uid=1000), ForkRegistry(), passed)
        self._closing.callback(listeners.close)
        listeners.bind()
        passed.close(self.log)
        return listeners

    def serve(self, listeners: Listeners, *slots: int) -> None:
        """Let clients reach these slots."""
        for slot in slots:
            listeners.open_slot(slot, SERVICES)
            listeners.open(listeners.of_slot(slot, SERVICES))

    def keep(self, listeners: Listeners) -> None:
        """Keep the sockets of a host, which closes its own."""
        description = os.memfd_create("description")
        os.write(description, stored_sockets.written(listeners.export()))
        self.kept = {DESCRIPTION: description}
        for each in listeners.own():
            copy = os.dup(each.socket.fileno())
            self.kept[stored_sockets.name_of(os.fstat(copy).st_ino)] = copy

    def close(self) -> None:
        for descriptor in self.kept.values():
            os.close(descriptor)

    def dropped(self) -> list[dict[str, object]]:
        """Return what was logged of sockets that have no use."""
        return [call.kwargs for call in self.log.warning.call_args_list]


@pytest.fixture
def store() -> Iterator[Store]:
    with ExitStack() as closing:
        store = Store(closing)
        closing.callback(store.close)
        yield store


def inodes(listeners: Listeners) -> dict[int | None, set[int]]:
    found: dict[int | None, set[int]] = {}
    for each in listeners.own():
        found.setdefault(each.slot, set()).add(os.fstat(each.socket.fileno()).st_ino)
    return found


@pytest.mark.parametrize(
    "address", ["tcp://127.0.0.1:0", "udp://127.0.0.1:0", "tcp://*:0", "unix://{0}/a.sock", "unix://@{0}"]
)
def test_every_socket_is_in_its_slot_again(store: Store, tmp_path: Path, address: str) -> None:
    first = store.host(address.format(tmp_path))
    store.serve(first, 0, 1)
    before, addresses = inodes(first), [str(group) for group in first.groups]
    store.keep(first)
    # The file of a unix socket stays when a master is killed.
    for each in first.own():
        each.socket.close()
    second = store.host(address.format(tmp_path))
    assert inodes(second) == before
    assert [str(group) for group in second.groups] == addresses
    assert all(each.is_open for each in second.own())
    assert store.dropped() == []
    first._unix_files._made.clear()


def test_the_order_of_the_kernel_is_kept(store: Store) -> None:
    first = store.host("tcp://127.0.0.1:0", workers=3)
    store.serve(first, 2, 0, 1)
    store.keep(first)
    first.close()
    second = store.host("tcp://127.0.0.1:0", workers=3)
    assert [each.slot for each in second.groups[0].order] == [2, 0, 1]


def test_a_socket_that_was_not_kept_is_left_out_as_the_kernel_does(store: Store) -> None:
    first = store.host("tcp://127.0.0.1:0", workers=3)
    store.serve(first, 0, 1, 2)
    store.keep(first)
    (lost,) = inodes(first)[0]
    os.close(store.kept.pop(stored_sockets.name_of(lost)))
    first.close()
    second = store.host("tcp://127.0.0.1:0", workers=3)
    assert [each.slot for each in second.groups[0].order] == [2, 1]


def test_a_slot_that_never_listened_listens_with_its_first_worker(store: Store) -> None:
    first = store.host("tcp://127.0.0.1:0")
    store.serve(first, 0)
    first.open_slot(1, SERVICES)
    before = inodes(first)
    store.keep(first)
    first.close()
    second = store.host("tcp://127.0.0.1:0")
    assert inodes(second) == before
    assert [each.is_open for each in second.own()] == [True, False]
    store.serve(second, 1)
    assert all(each.is_open for each in second.own())


def test_with_fewer_workers_the_queues_of_the_other_slots_leave(store: Store) -> None:
    first = store.host("tcp://127.0.0.1:0", workers=4)
    store.serve(first, 0, 1, 2)
    first.open_slot(3, SERVICES)
    store.keep(first)
    first.close()
    second = store.host("tcp://127.0.0.1:0", workers=1)
    # Slot 3 has no queue.
    assert sorted(each.slot for each in second.own() if each.slot is not None) == [0, MAX_WORKERS, MAX_WORKERS]
    assert leaving_slots(second.own()) == {MAX_WORKERS: frozenset(SERVICES)}
    assert second.steered
    second.close_slot(MAX_WORKERS)
    assert len(second.own()) == 1


def test_a_program_that_steers_is_removed_when_no_slot_leaves(store: Store) -> None:
    first = store.host("tcp://127.0.0.1:0")
    store.serve(first, 0, 1)
    first.steer_away([1])
    store.keep(first)
    first.close()
    second = store.host("tcp://127.0.0.1:0")
    assert not second.groups[0].steered
    clients = [socket.create_connection(second.groups[0].sockaddr) for _ in range(40)]  # type: ignore[arg-type]
    assert second.queued(1)
    for client in clients:
        client.close()


def test_with_more_workers_slots_are_added_to_the_group(store: Store) -> None:
    first = store.host("tcp://127.0.0.1:0", workers=1)
    store.serve(first, 0)
    store.keep(first)
    first.close()
    second = store.host("tcp://127.0.0.1:0", workers=2)
    store.serve(second, 0, 1)
    assert len(second.groups[0].order) == 2


def test_an_address_of_its_own_is_bound_beside_the_stored_ones(store: Store) -> None:
    first = store.host("tcp://127.0.0.1:0")
    store.serve(first, 0)
    kept = str(first.groups[0])
    store.keep(first)
    first.close()
    second = store.host("tcp://127.0.0.2:0", kept)
    assert str(second.groups[1]) == kept
    assert store.dropped() == []


def other_address(listeners: Listeners, store: Store) -> str:
    return "tcp://127.0.0.2:0"


def other_kind(listeners: Listeners, store: Store) -> str:
    return str(listeners.groups[0]).replace("tcp", "udp")


def torn(listeners: Listeners, store: Store) -> str:
    os.pwrite(store.kept[DESCRIPTION], b"{", 30)
    return "tcp://127.0.0.1:0"


def empty(listeners: Listeners, store: Store) -> str:
    os.ftruncate(store.kept[DESCRIPTION], 0)
    return "tcp://127.0.0.1:0"


@pytest.mark.parametrize("change", [other_address, other_kind, torn, empty])
def test_what_has_no_use_is_closed_and_logged(store: Store, change: Callable[[Listeners, Store], str]) -> None:
    first = store.host("tcp://127.0.0.1:0")
    store.serve(first, 0, 1)
    store.keep(first)
    listen = change(first, store)
    before = {inode for found in inodes(first).values() for inode in found}
    first.close()
    second = store.host(listen)
    assert all(before.isdisjoint(found) for found in inodes(second).values())
    assert store.dropped() == [{"count": 2, "used": 0}]


def test_sockets_of_another_user_are_not_used(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    first = store.host("tcp://127.0.0.1:0")
    store.serve(first, 0)
    store.keep(first)
    first.close()
    monkeypatch.setattr(os, "geteuid", lambda: 4242)
    store.host("tcp://127.0.0.1:0")
    assert store.dropped() == [{"count": 1, "used": 0}]


def test_a_unix_socket_whose_file_is_gone_is_made_again(store: Store, tmp_path: Path) -> None:
    address = f"unix://{tmp_path}/a.sock"
    first = store.host(address)
    store.serve(first, 0)
    store.keep(first)
    first.close()
    second = store.host(address)
    store.serve(second, 0)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(f"{tmp_path}/a.sock")
    assert store.dropped() == [{"count": 1, "used": 0}]


def test_two_addresses_with_port_0_keep_a_port_each(store: Store) -> None:
    listen = ("tcp://127.0.0.1:0", "tcp://127.0.0.1:0")
    first = store.host(*listen)
    store.serve(first, 0)
    addresses = [str(group) for group in first.groups]
    store.keep(first)
    first.close()
    assert [str(group) for group in store.host(*listen).groups] == addresses
