"""The listening sockets as values, for another process or program that gets their descriptors.

The order of a group is the kernel's, and nothing returns it: it is part of the state. So is the identity of the file of
a unix socket, by which the host knows that the file is still its own.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from reactorhost.master.listen.slot_socket import Group, SlotSocket
from reactorhost.system.own_file import OwnFile

SocketReference = tuple[int, int | None]
"""The indexes of a group and of a socket in it; None for a socket that was closed since."""


@dataclass(frozen=True, slots=True)
class SocketState:
    """One socket; `descriptor` is that of the process that exported it."""

    descriptor: int
    slot: int | None
    is_open: bool


@dataclass(frozen=True, slots=True)
class GroupState:
    """The sockets of one bound address.

    Attributes:
        sockets: all of them.
        order: the open ones as the kernel numbers them, by their index in `sockets`.
    """

    service: str
    scheme: str
    family: int
    sockaddr: str | tuple[str | int, ...]
    sockets: tuple[SocketState, ...]
    order: tuple[int, ...]
    steered: bool
    is_passed: bool = False


@dataclass(frozen=True, slots=True)
class ListenersState:
    """All listening sockets of a host, the files of unix sockets, and the slots that clients are steered away from."""

    groups: tuple[GroupState, ...]
    unix_files: tuple[OwnFile, ...]
    leaving: tuple[int, ...] = ()
    full: tuple[int, ...] = ()
    steered: bool = False

    def descriptors(self) -> Iterator[int]:
        """Yield the descriptor of every socket."""
        return (each.descriptor for group in self.groups for each in group.sockets)


def export_group(group: Group, sockets: Sequence[SlotSocket]) -> GroupState:
    """Return the state of a group; `sockets` are those of all groups."""
    own = [each for each in sockets if each.group is group]
    return GroupState(
        group.service,
        group.scheme,
        group.family,
        group.sockaddr,
        tuple(SocketState(each.socket.fileno(), each.slot, each.is_open) for each in own),
        tuple(own.index(each) for each in group.order),
        group.steered,
        group.is_passed,
    )


def restore_group(state: GroupState) -> tuple[Group, list[SlotSocket]]:
    """Return a group and its sockets, which own the descriptors from now on."""
    group = Group(state.service, state.scheme, socket.AddressFamily(state.family), state.sockaddr)
    sockets = [SlotSocket(each.slot, group, _socket(each.descriptor), each.is_open) for each in state.sockets]
    group.order = [sockets[index] for index in state.order]
    group.steered, group.is_passed = state.steered, state.is_passed
    return group, sockets


class SocketPositions:
    """Where each socket is in the state of all of them.

    Made once for many sockets: a search for each socket would block the master while every worker is exported.
    """

    def __init__(self, groups: Sequence[Group], sockets: Sequence[SlotSocket]) -> None:
        self._groups = list(groups)
        self._members: list[list[SlotSocket]] = [[] for _ in groups]
        self._references: dict[SlotSocket, SocketReference] = {}
        indexes = {group: index for index, group in enumerate(groups)}
        for each in sockets:
            group_index = indexes[each.group]
            self._references[each] = group_index, len(self._members[group_index])
            self._members[group_index].append(each)

    def of(self, each: SlotSocket) -> SocketReference:
        """Return the position of a socket."""
        return self._references.get(each) or (self._groups.index(each.group), None)

    def at(self, position: SocketReference) -> SlotSocket:
        """Return the socket at a position; a closed one in place of one that was closed."""
        group_index, index = position
        if index is not None:
            return self._members[group_index][index]
        with socket.socket(self._groups[group_index].family) as closed:
            return SlotSocket(None, self._groups[group_index], closed)


def _socket(descriptor: int) -> socket.socket:
    sock = socket.socket(fileno=descriptor)
    # Of the object: the description that all copies share is non-blocking already.
    sock.setblocking(False)
    return sock
