"""The listening sockets of the HTTP endpoint, which only the master has."""

from __future__ import annotations

import dataclasses
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from reactorhost.address import Address
from reactorhost.errors import ReactorhostError
from reactorhost.master.listen import bind
from reactorhost.master.listen.unix_socket_files import UnixSocketFiles
from reactorhost.system.own_file import FileState, OwnFile

_BACKLOG = 512


@dataclass(frozen=True, slots=True)
class EndpointState:
    """The sockets and the file of an endpoint, for another program."""

    sockets: tuple[int, ...]
    files: tuple[OwnFile, ...]


class EndpointSockets:
    """The sockets of an address: one of a path, of a host name one for each family.

    Attributes:
        unix_mode: only this user may use the file, as that of the control socket; an operator may change it.
        unix_owner: the user that starts the host.
        opened: the sockets, which listen.
    """

    unix_mode = 0o600
    unix_owner = None

    def __init__(self, address: Address) -> None:
        self.address = address
        self.opened: list[socket.socket] = []
        self._files = UnixSocketFiles()

    def open(self) -> None:
        """Listen; for a path also again after its file was removed.

        Raises:
            ReactorhostError: the address is in use, not permitted, or not one of this machine.
        """
        with ExitStack() as on_error:
            opened: list[socket.socket] = []
            for sock in self._bound():
                opened.append(on_error.enter_context(sock))
                try:
                    sock.listen(_BACKLOG)
                except OSError as error:
                    # Two sockets may be bound to one port while neither listens: the second one fails here.
                    raise bind.bind_error(self.address, error) from None
            on_error.pop_all()
        self.opened = opened

    def export(self) -> EndpointState:
        """Return the state, whose descriptors stay open."""
        return EndpointState(tuple(sock.fileno() for sock in self.opened), self._files.made())

    def restore(self, state: EndpointState) -> None:
        """Have the sockets of another program, in place of `open`."""
        self.opened = [socket.socket(fileno=descriptor) for descriptor in state.sockets]
        self._files.restore(state.files)

    def state(self) -> FileState:
        """Return what is at the path; an address without a file is always there."""
        return FileState.PRESENT if self.path is None else self._files.state(self.path)

    def addresses(self) -> list[str]:
        """Return the addresses of the sockets, with the port that the kernel chose."""
        if self.address.scheme == "unix":
            return [str(self.address)]
        names = (sock.getsockname() for sock in self.opened)
        return [str(Address("tcp", host, port)) for host, port, *_ in names]

    def close(self) -> None:
        """Close the sockets, and remove the file if it is still the one that was made here."""
        # Before the sockets: see `OwnFile`.
        self._files.remove()
        for sock in self.opened:
            sock.close()
        self.opened = []

    @property
    def path(self) -> Path | None:
        """The file of a unix socket, or None for another address."""
        is_file = self.address.scheme == "unix" and not self.address.is_abstract
        return Path(self.address.path) if is_file else None

    def _bound(self) -> Iterator[socket.socket]:
        address = self.address
        if self.path is not None:
            yield self._files.bind(self.path, self)
        elif address.is_abstract:
            yield bind.abstract_socket(address)
        else:
            for family, sockaddr in bind.resolve(address):
                # Without SO_REUSEPORT, so that another host fails and does not share it.
                sock = bind.exclusive_socket(family, (sockaddr[0], address.port, *sockaddr[2:]), address)
                # A port that the kernel chose is that of the other family too.
                address = dataclasses.replace(address, port=sock.getsockname()[1])
                yield sock


def is_local(address: Address) -> bool:
    """Say whether only programs of this machine reach an address.

    A name that cannot be resolved counts as one: its bind fails.
    """
    if address.scheme == "unix":
        return True
    try:
        hosts = [sockaddr[0] for _, sockaddr in bind.resolve(address)]
    except ReactorhostError:
        return True
    # Of numbers in the form of the kernel: every check of settings would pay for the import of `ipaddress`.
    return all(host == "::1" or host.startswith("127.") for host in hosts)
