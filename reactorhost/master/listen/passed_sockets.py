"""Listening sockets that a service manager passed to this process, used in place of ones that the host binds.

The service manager keeps a copy, so their queues survive the host. All slots share each of them, as they share a unix
socket. The host neither binds nor removes anything: the mode and the owner of a unix socket's file and the backlog are
settings of the service manager.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field

from reactorhost.address import Address, unix_endpoint
from reactorhost.config.service import Service
from reactorhost.config.settings import Settings
from reactorhost.errors import ReactorhostError
from reactorhost.logs import EventLog
from reactorhost.master.listen import bind
from reactorhost.master.listen.bind import SocketAddress
from reactorhost.master.listen.slot_socket import Group, SlotSocket
from reactorhost.master.listen.stored_sockets import PREFIX, StoredSockets
from reactorhost.system.socket_options import set_stream_options

_SCHEMES = {
    (socket.AF_INET, socket.SOCK_STREAM): "tcp",
    (socket.AF_INET6, socket.SOCK_STREAM): "tcp",
    (socket.AF_INET, socket.SOCK_DGRAM): "udp",
    (socket.AF_INET6, socket.SOCK_DGRAM): "udp",
    (socket.AF_UNIX, socket.SOCK_STREAM): "unix",
}


@dataclass(slots=True, eq=False)
class _Passed:
    """One descriptor that was passed; `socket` is None if it is none that a host can listen on."""

    descriptor: int
    name: str
    scheme: str | None
    socket: socket.socket | None
    is_used: bool = False

    @property
    def sockaddr(self) -> SocketAddress | str:
        assert self.socket is not None
        name = self.socket.getsockname()
        return str(unix_endpoint(name)).partition(":")[2] if self.scheme == "unix" else name

    @property
    def families(self) -> frozenset[int]:
        """The families of the clients that reach it."""
        assert self.socket is not None
        if self.socket.family == socket.AF_INET6 and not self.socket.getsockopt(
            socket.IPPROTO_IPV6, socket.IPV6_V6ONLY
        ):
            return frozenset((socket.AF_INET, socket.AF_INET6))
        return frozenset((self.socket.family,))

    def group(self, service: str, scheme: str) -> Group:
        """Return a group for it alone."""
        assert self.socket is not None
        return Group(service, scheme, socket.AddressFamily(self.socket.family), self.sockaddr, is_passed=True)

    def __str__(self) -> str:
        return "not a listening socket" if self.scheme is None else str(self.group("", self.scheme))


@dataclass(slots=True)
class PassedSockets:
    """The descriptors that were passed, and which of them the host uses.

    Attributes:
        stored: those that an earlier master has stored.
    """

    stored: StoredSockets = field(default_factory=StoredSockets)
    _all: list[_Passed] = field(default_factory=list)

    @classmethod
    def of(cls, descriptors: Iterable[tuple[int, str]]) -> PassedSockets:
        """Return those of these descriptors and names; they own the descriptors from now on."""
        stored: list[tuple[int, str]] = []
        others: list[tuple[int, str]] = []
        for descriptor, name in descriptors:
            (stored if name.startswith(PREFIX) else others).append((descriptor, name))
        return cls(StoredSockets.of(stored), [_examined(descriptor, name) for descriptor, name in others])

    def begin(self) -> None:
        """Let each be used: the host binds for the first time, or once more."""
        self.stored.begin()
        for each in self._all:
            each.is_used = False

    def use(self, service: Service, address: Address, settings: Settings) -> tuple[list[SlotSocket], set[int]]:
        """Return sockets that are bound to an address already, and the families for which none has to be bound.

        Raises:
            ReactorhostError: the address names sockets that were not passed, or are none for the service.
        """
        if address.scheme == "fd":
            found = self._named(service, address)
        else:
            found = [each for each in self._all if not each.is_used and _matches(each, address)]
        families = {family for each in found for family in each.families}
        stored = [] if found else self.stored.use(service, address, settings)
        families |= {each.group.family for each in stored}
        return [*stored, *(_slot_socket(each, service, settings.peer_timeout) for each in found)], families

    def close(self, log: EventLog) -> None:
        """Close what was passed, and log what no service uses; what is used was duplicated."""
        self.stored.close(log)
        for each in self._all:
            if not each.is_used:
                log.warning("socket_not_used", descriptor=each.descriptor, socket=each.name, address=str(each))
            if each.socket is None:
                os.close(each.descriptor)
            else:
                each.socket.close()
        self._all.clear()

    def _named(self, service: Service, address: Address) -> list[_Passed]:
        found = [each for each in self._all if address.path in (each.name, str(each.descriptor))]
        if not found:
            passed = ", ".join(dict.fromkeys(each.name for each in self._all))
            hint = f"passed are: {passed}" if passed else "start the host from a unit with a .socket unit beside it"
            raise ReactorhostError(f"service {service.name!r}: no socket {address} was passed to the host", hint=hint)
        for each in found:
            what = None
            if each.scheme is None:
                what, hint = "is not a listening socket", "use ListenStream= or ListenDatagram=, and not Accept=yes"
            elif each.is_used:
                what, hint = "is used by another address already", "remove one of them"
            elif each.scheme == "udp" and service.proxy_from:
                what, hint = "is a UDP socket, which has no PROXY header", "move it to a service without proxy_from"
            if what is not None:
                raise ReactorhostError(f"service {service.name!r}: {address} {what}", hint=hint)
        return found


def _examined(descriptor: int, name: str) -> _Passed:
    try:
        sock = socket.socket(fileno=descriptor)
    except OSError:
        return _Passed(descriptor, name, None, None)
    scheme = _SCHEMES.get((socket.AddressFamily(sock.family), socket.SocketKind(sock.type)))
    if scheme in ("tcp", "unix") and not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        scheme = None
    return _Passed(descriptor, name, scheme, sock)


def _matches(passed: _Passed, address: Address) -> bool:
    if passed.scheme != ("tcp" if address.scheme == "tls" else address.scheme):
        return False
    if passed.scheme == "unix":
        return passed.sockaddr == address.path
    if passed.sockaddr[1] != address.port:
        return False
    # Only now, because a resolver can be slow.
    return any(sockaddr[:2] == passed.sockaddr[:2] for _, sockaddr in bind.resolve(address))


def _slot_socket(passed: _Passed, service: Service, peer_timeout: float | None) -> SlotSocket:
    assert passed.socket is not None
    assert passed.scheme is not None
    passed.is_used = True
    # Duplicated, because the host may close it, and bind once more: see `startup`.
    sock = passed.socket.dup()
    sock.setblocking(False)
    scheme = passed.scheme
    if scheme == "udp":
        bind.request_destinations(sock, passed.sockaddr)
    else:
        set_stream_options(sock, peer_timeout)
    if scheme == "tcp" and service.speaks_tls(Address("tcp")):
        scheme = "tls"
    group = passed.group(service.name, scheme)
    each = SlotSocket(None, group, sock, is_open=True)
    group.order.append(each)
    return each
