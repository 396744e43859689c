"""Sockets that were passed to the host: which addresses they serve, and what the host binds beside them."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import Mock

import pytest

from kernel import free_port
from reactorhost.config.resolve import resolve
from reactorhost.errors import ReactorhostError
from reactorhost.master.listen.listeners import Listeners
from reactorhost.master.listen.passed_sockets import PassedSockets
from reactorhost.system.fork import ForkRegistry


class Host:
    """The listeners of a host that is passed sockets by name."""

    def __init__(self, passed: dict[str, socket.socket], *listen: str, **flags: object) -> None:
        self.log = Mock()
        self.passed = PassedSockets.of((sock.dup().detach(), name) for name, sock in passed.items())
        settings = resolve({"plugins": ("echo",), "listen": listen, **flags}, {}, Path("/"), uid=1000)
        self.listeners = Listeners(settings, ForkRegistry(), self.passed)

    def bound(self) -> list[tuple[str, bool]]:
        """Bind; return each address, and whether its socket was passed."""
        self.listeners.bind()
        return [(str(group), group.is_passed) for group in self.listeners.groups]

    def close(self) -> None:
        self.listeners.close()
        self.passed.close(self.log)


New = Callable[..., Host]


@pytest.fixture
def new() -> Iterator[New]:
    with ExitStack() as closing:

        def make(passed: dict[str, socket.socket], *listen: str, **flags: object) -> Host:
            for sock in passed.values():
                closing.enter_context(sock)
            host = Host(passed, *listen, **flags)
            closing.callback(host.close)
            return host

        yield make


def tcp(host: str, port: int = 0, *, dual: bool = False) -> socket.socket:
    if ":" in host:
        return socket.create_server((host, port), family=socket.AF_INET6, dualstack_ipv6=dual)
    return socket.create_server((host, port))


def port_of(sock: socket.socket) -> int:
    return sock.getsockname()[1]  # type: ignore[no-any-return]


@pytest.mark.parametrize("scheme", ["tcp", "unix", "abstract", "udp"])
def test_an_address_that_was_passed_is_not_bound(new: New, tmp_path: Path, scheme: str) -> None:
    sock = {
        "tcp": lambda: tcp("127.0.0.1"),
        "udp": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
    }.get(scheme, lambda: socket.socket(socket.AF_UNIX))()
    if scheme == "udp":
        sock.bind(("127.0.0.1", 0))
    name = {"unix": str(tmp_path / "a.sock"), "abstract": f"@{tmp_path}"}.get(scheme)
    if name is not None:
        sock.bind(name.replace("@", "\0"))
        sock.listen()
    address = f"unix://{name}" if name else f"{scheme}://127.0.0.1:{port_of(sock)}"
    host = new({"web": sock}, address)
    assert host.bound() == [(address, True)]
    (each,) = host.listeners.shared()
    assert os.path.sameopenfile(each.socket.fileno(), sock.fileno())
    assert each.is_open
    # All slots have the same one, and none is made for a slot.
    host.listeners.open_slot(1, ["default"])
    assert host.listeners.of_slot(1, ["default"]) == [each]
    # Again, as after an address that was in use.
    host.listeners.close()
    assert host.bound() == [(address, True)]


def test_the_file_of_a_passed_unix_socket_is_not_removed(new: New, tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(path))
    sock.listen()
    host = new({"web": sock}, f"unix://{path}")
    host.bound()
    host.listeners.close()
    assert path.exists()


def test_a_socket_of_both_families_serves_a_wildcard_alone(new: New) -> None:
    sock = tcp("::", dual=True)
    assert new({"web": sock}, f"tcp://*:{port_of(sock)}").bound() == [(f"tcp://[::]:{port_of(sock)}", True)]


@pytest.mark.parametrize(("passed", "bound"), [("::", "0.0.0.0"), ("0.0.0.0", "[::]")])
def test_the_family_that_was_not_passed_is_bound(new: New, passed: str, bound: str) -> None:
    # One that the kernel assigns may be taken in the other family.
    port = free_port()
    sock = tcp(passed, port)
    addresses = dict(new({"web": sock}, f"tcp://*:{port}").bound())
    assert addresses == {f"tcp://{'[::]' if passed == '::' else passed}:{port}": True, f"tcp://{bound}:{port}": False}


def test_another_port_kind_or_host_is_bound(new: New) -> None:
    sock = tcp("127.0.0.1", free_port())
    host = new(
        {"web": sock}, "tcp://127.0.0.1:0", f"udp://127.0.0.1:{port_of(sock)}", f"tcp://127.0.0.2:{port_of(sock)}"
    )
    assert [is_passed for _, is_passed in host.bound()] == [False] * 3


def test_a_name_stands_for_all_sockets_with_it_and_a_number_for_one(new: New) -> None:
    first, second = tcp("127.0.0.1"), tcp("127.0.0.1")
    host = new({"web": first}, "fd://web")
    host.passed._all += PassedSockets.of([(second.dup().detach(), "web")])._all
    assert host.bound() == [(f"tcp://127.0.0.1:{port_of(each)}", True) for each in (first, second)]
    second.close()
    numbered = PassedSockets.of([(first.dup().detach(), "web")])
    (descriptor,) = (each.descriptor for each in numbered._all)
    settings = resolve({"plugins": ("echo",), "listen": (f"fd://{descriptor}",)}, {}, Path("/"), uid=1000)
    listeners = Listeners(settings, ForkRegistry(), numbered)
    listeners.bind()
    assert str(listeners.groups[0]) == f"tcp://127.0.0.1:{port_of(first)}"
    listeners.close()
    numbered.close(Mock())


def test_clients_of_a_service_with_a_certificate_speak_tls_on_a_passed_socket(new: New, tmp_path: Path) -> None:
    sock = tcp("127.0.0.1")
    flags = {"certificate": (str(tmp_path / "c.pem"),), "key": (str(tmp_path / "k.pem"),)}
    assert new({"web": sock}, "fd://web", **flags).bound() == [(f"tls://127.0.0.1:{port_of(sock)}", True)]


@pytest.mark.parametrize(
    ("listen", "flags", "error"),
    [
        (("fd://other",), {}, "no socket fd://other was passed"),
        (("fd://bound",), {}, "fd://bound is not a listening socket"),
        (("fd://file",), {}, "fd://file is not a listening socket"),
        (("fd://udp",), {"proxy_from": ("127.0.0.1",)}, "fd://udp is a UDP socket, which has no PROXY header"),
    ],
)
def test_what_cannot_be_served_is_refused(
    new: New, listen: tuple[str, ...], flags: dict[str, object], error: str
) -> None:
    bound, udp = socket.socket(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    bound.bind(("127.0.0.1", 0))
    host = new({"bound": bound, "udp": udp}, *listen, **flags)
    host.passed._all += PassedSockets.of([(os.open(os.devnull, os.O_RDONLY), "file")])._all
    with pytest.raises(ReactorhostError, match=error):
        host.listeners.bind()


def test_a_socket_is_used_once(new: New) -> None:
    sock = tcp("127.0.0.1")
    host = new({"web": sock}, f"tcp://127.0.0.1:{port_of(sock)}", "fd://web")
    with pytest.raises(ReactorhostError, match="fd://web is used by another address already"):
        host.listeners.bind()


def test_a_passed_socket_stays_open_for_others_when_the_host_closes(new: New) -> None:
    sock = tcp("127.0.0.1")
    host = new({"web": sock, "spare": tcp("127.0.0.1")}, "fd://web")
    host.bound()
    with socket.create_connection(sock.getsockname()) as client:
        host.close()
        host.log.warning.assert_called_once()
        assert host.log.warning.call_args.kwargs["socket"] == "spare"
        # The client that waited is still in the queue.
        accepted, _ = sock.accept()
        accepted.close()
        assert client.recv(1) == b""
