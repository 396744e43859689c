"""The listeners of two hosts: an address that one has bound is not free, also while nothing listens on it yet."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from reactorhost.config.resolve import resolve
from reactorhost.errors import ReactorhostError
from reactorhost.ipc.typed_json import from_json, to_json
from reactorhost.master.listen.bind import AddressInUseError
from reactorhost.master.listen.listeners import Listeners
from reactorhost.master.listen.listeners_state import ListenersState
from reactorhost.system.fork import ForkRegistry
from reactorhost.system.own_file import FileState

NewListeners = Callable[[str], Listeners]


@pytest.fixture
def new_listeners() -> Iterator[NewListeners]:
    with ExitStack() as closing:

        def make(listen: str) -> Listeners:
            flags = {"plugins": ("echo",), "workers": "2", "listen": (listen,)}
            listeners = Listeners(resolve(flags, {}, Path("/"), uid=1000), ForkRegistry())
            closing.callback(listeners.close)
            return listeners

        yield make


def open_slot_0(listeners: Listeners) -> None:
    listeners.open(listeners.of_slot(0, ["default"]))


@pytest.mark.parametrize("booting", [True, False], ids=["before a worker is ready", "while it listens"])
@pytest.mark.parametrize("address", ["tcp://127.0.0.1:0", "udp://127.0.0.1:0", "unix://{0}/a.sock", "unix://@{0}"])
def test_an_address_has_one_host(new_listeners: NewListeners, tmp_path: Path, address: str, booting: bool) -> None:
    first = new_listeners(address.format(tmp_path))
    first.bind()
    first.open_slot(1, ["default"])
    if not booting:
        open_slot_0(first)
    second = new_listeners(str(first.groups[0]))
    with pytest.raises(AddressInUseError):
        second.bind()
    second.close()
    first.close()
    second.bind()
    open_slot_0(second)


@pytest.mark.parametrize(
    ("where", "change"),
    [
        ("flag", "choose another address with --listen"),
        ("variable", "change it in REACTORHOST_LISTEN"),
        ("file", "change it in {file}:2"),
    ],
)
def test_an_address_in_use_is_reported_with_where_to_change_it(
    new_listeners: NewListeners, tmp_path: Path, where: str, change: str
) -> None:
    first = new_listeners("tcp://127.0.0.1:0")
    first.bind()
    address = str(first.groups[0])
    flags: dict[str, object] = {"plugins": ("echo",)}
    environment: dict[str, str] = {}
    file = tmp_path / "host.toml"
    match where:
        case "flag":
            flags["listen"] = (address,)
        case "variable":
            environment["REACTORHOST_LISTEN"] = address
        case "file":
            file.write_text(f"[service.default]\nlisten = '{address}'\nplugins = 'echo'\n")
            flags = {"config": str(file)}
    listeners = Listeners(resolve(flags, environment, Path("/"), uid=1000), ForkRegistry())
    with pytest.raises(AddressInUseError) as caught:
        listeners.bind()
    listeners.close()
    assert caught.value.hint == f"see which with: ss -tanp; or {change.format(file=file)}"


def test_another_program_cannot_take_a_port_before_a_worker_is_ready(new_listeners: NewListeners) -> None:
    listeners = new_listeners("tcp://127.0.0.1:0")
    listeners.bind()
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with pytest.raises(OSError, match="in use") as refused:
            stranger.bind(listeners.groups[0].sockaddr)
    assert refused.value.errno == errno.EADDRINUSE


def test_a_port_is_free_while_connections_of_the_host_before_wait_in_the_kernel(new_listeners: NewListeners) -> None:
    first = new_listeners("tcp://127.0.0.1:0")
    first.bind()
    open_slot_0(first)
    address = first.owned_by(0)[0].socket.getsockname()
    listener = first.owned_by(0)[0].socket
    listener.setblocking(True)
    with socket.create_connection(address) as client:
        accepted, _ = listener.accept()
        # The side that closes first keeps the connection in TIME_WAIT.
        accepted.close()
        assert client.recv(1) == b""
    first.close()
    second = new_listeners(f"tcp://{address[0]}:{address[1]}")
    second.bind()
    open_slot_0(second)


def test_a_unix_socket_does_not_open_on_the_file_of_another_process(
    new_listeners: NewListeners, tmp_path: Path
) -> None:
    path = tmp_path / "a.sock"
    listeners = new_listeners(f"unix://{path}")
    listeners.bind()
    path.unlink()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        with pytest.raises(ReactorhostError, match="in use by another process"):
            open_slot_0(listeners)
        listeners.close()
        assert path.exists()


@pytest.mark.parametrize("port", [0, 1])
@pytest.mark.parametrize("scheme", ["tcp", "udp"])
def test_an_address_of_a_family_that_the_kernel_refuses_is_an_error_with_a_hint(
    new_listeners: NewListeners, monkeypatch: pytest.MonkeyPatch, scheme: str, port: int
) -> None:
    def refuse(family: int, *_: object) -> socket.socket:
        assert family == socket.AF_INET6
        raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")

    monkeypatch.setattr(socket, "socket", refuse)
    with pytest.raises(ReactorhostError, match="this system has no IPv6") as refused:
        new_listeners(f"{scheme}://[::1]:{port}").bind()
    assert refused.value.hint == "listen on an IPv4 address, for example 0.0.0.0"


@pytest.mark.parametrize("scheme", ["tcp", "udp"])
def test_a_service_gives_up_the_sockets_of_slots(new_listeners: NewListeners, scheme: str) -> None:
    listeners = new_listeners(f"{scheme}://127.0.0.1:0")
    listeners.bind()
    for slot in (1, 2):
        listeners.open_slot(slot, ["other"])
        assert listeners.owned_by(slot) == []
        listeners.open_slot(slot, ["default"])
    given_up, unopened = *listeners.owned_by(1), *listeners.owned_by(2)
    listeners.open([*listeners.owned_by(0), given_up])
    assert not listeners.move("other", [1, 2], 256)
    assert listeners.move("default", [1, 2], 256)
    assert listeners.owned_by(256) == [given_up]
    assert listeners.owned_by(1) == listeners.owned_by(2) == []
    assert [queue.slot for _, _, queue in listeners.queues()] == [0, 256]
    assert [each["sockets"] for each in listeners.status()] == [2]
    # A worker that was forked before has a copy of it.
    listeners.open([unopened])
    assert not unopened.is_open
    listeners.open_slot(1, ["default"])
    listeners.open(listeners.owned_by(1))
    listeners.close_slot(256)
    assert [queue.slot for _, _, queue in listeners.queues()] == [0, 1]


def test_an_abstract_name_has_no_file_that_can_be_lost(new_listeners: NewListeners, tmp_path: Path) -> None:
    listeners = new_listeners(f"unix://@{tmp_path}/name")
    listeners.bind()
    (shared,) = listeners.shared()
    assert listeners.file_state(shared) is FileState.PRESENT
    open_slot_0(listeners)
    assert listeners.status()[0]["address"] == f"unix://@{tmp_path}/name"
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(f"\0{tmp_path}/name")


def test_the_shared_sockets_of_a_slot_are_those_of_its_services(new_listeners: NewListeners, tmp_path: Path) -> None:
    listeners = new_listeners(f"unix://{tmp_path}/a.sock")
    listeners.bind()
    assert listeners.of_slot(1, ["default"]) == listeners.shared()
    assert listeners.of_slot(1, ["other"]) == []
    assert not listeners.move("default", [1], 256)
    assert listeners.shared()


def test_a_unix_socket_that_was_made_again_while_the_first_worker_booted_listens(
    new_listeners: NewListeners, tmp_path: Path
) -> None:
    path = tmp_path / "a.sock"
    listeners = new_listeners(f"unix://{path}")
    listeners.bind()
    (borrowed,) = listeners.of_slot(0, ["default"])
    path.unlink()
    listeners.bind_again(borrowed)
    listeners.open([borrowed])
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def test_listeners_continue_in_another_program_with_their_queues(new_listeners: NewListeners, tmp_path: Path) -> None:
    first = new_listeners("tcp://127.0.0.1:0")
    first.bind()
    for slot in (1, 2):
        first.open_slot(slot, ["default"])
    open_slot_0(first)
    first.open(first.of_slot(1, ["default"]))
    # So that the order of the kernel is not that of the slots.
    first.close_slot(0)
    assert first.steer_away((1,)) is False
    with socket.create_connection(first.owned_by(1)[0].socket.getsockname()):
        other = new_listeners("tcp://127.0.0.1:0")
        other.restore(from_json(ListenersState, to_json(_duplicated(first.export()))))
        first.close()
        assert [(each.slot, each.is_open) for each in other.of_slot(1, ["default"])] == [(1, True)]
        assert [(each.slot, each.is_open) for each in other.owned_by(2)] == [(2, False)]
        assert [each.slot for each in other.groups[0].order] == [1]
        assert other.queued(1) == 1
    # What joins later is numbered after what was there.
    other.open(other.of_slot(2, ["default"]))
    assert [each.slot for each in other.groups[0].order] == [1, 2]
    assert other.steer_away((1,))


def test_the_file_of_a_unix_socket_stays_that_of_the_host_in_another_program(
    new_listeners: NewListeners, tmp_path: Path
) -> None:
    path = tmp_path / "a.sock"
    first = new_listeners(f"unix://{path}")
    first.bind()
    open_slot_0(first)
    other = new_listeners(f"unix://{path}")
    other.restore(from_json(ListenersState, to_json(_duplicated(first.export()))))
    assert other.file_state(other.shared()[0]) is FileState.PRESENT
    other.close()
    assert not path.exists()


def _duplicated(state: ListenersState) -> ListenersState:
    groups = []
    for group in state.groups:
        sockets = tuple(replace(each, descriptor=os.dup(each.descriptor)) for each in group.sockets)
        groups.append(replace(group, sockets=sockets))
    return replace(state, groups=tuple(groups))


def test_an_address_is_one_row_with_the_sum_and_the_fullest_of_its_queues(new_listeners: NewListeners) -> None:
    listeners = new_listeners("tcp://127.0.0.1:0")
    listeners.bind()
    listeners.open_slot(1, ["default"])
    listeners.open([*listeners.owned_by(0), *listeners.owned_by(1)])
    # Steered, so that it is known in whose queue the clients are.
    listeners.steer_away([0])
    with contextlib.ExitStack() as clients:
        for _ in range(3):
            clients.enter_context(socket.create_connection(("127.0.0.1", listeners.groups[0].sockaddr[1])))
        (row,) = listeners.status()
    limit = row["fullest_limit"]
    assert limit
    assert row["limit"] == 2 * limit
    assert (row["depth"], row["fullest_slot"], row["fullest_depth"]) == (3, 1, 3)
    assert (row["sockets"], row["dropped"]) == (2, 0)
