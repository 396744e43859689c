"""The host's own sockets, which a service manager kept for it while no master ran, and their description.

The service manager returns them with the names under which they were stored (sd_pid_notify_with_fds(3)). Each is named
after its inode, by which the description refers to it. The queues of sockets whose address is configured continue, in
the slots that they were in. Those of slots that are not wanted any more get into slots that leave: one worker serves
them, and they are closed when their queues are certainly empty (plan/adoption.py).
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from reactorhost.address import Address
from reactorhost.config.service import Service
from reactorhost.config.settings import MAX_WORKERS, Settings
from reactorhost.ipc.typed_json import from_json, to_json
from reactorhost.logs import EventLog
from reactorhost.master.listen import bind
from reactorhost.master.listen.listeners_state import GroupState, ListenersState, restore_group
from reactorhost.master.listen.slot_socket import SlotSocket
from reactorhost.system.own_file import FileState, OwnFile
from reactorhost.system.socket_options import set_stream_options

PREFIX = "rh-"
"""How the names of what a host stores begin."""
DESCRIPTION = f"{PREFIX}description"
_SCHEMA = 1
_MOST_BYTES = 16 << 20


def name_of(inode: int) -> str:
    """Return the name under which a socket is stored."""
    return f"{PREFIX}{inode}"


def written(state: ListenersState) -> bytes:
    """Return the description of sockets; those that a service manager passed are not part of it."""
    own = tuple(_by_inode(group) for group in state.groups if not group.is_passed)
    # The kernel refuses to add a socket of another user to a group.
    document = {"schema": _SCHEMA, "uid": os.geteuid(), "listeners": to_json(ListenersState(own, state.unix_files))}
    text = json.dumps(document).encode()
    # A master that is killed while it writes leaves a mixture, which must not be taken for a description.
    return b"%08x\n%s\n" % (zlib.crc32(text), text)


def _by_inode(group: GroupState) -> GroupState:
    inodes = (os.fstat(each.descriptor).st_ino for each in group.sockets)
    return replace(
        group, sockets=tuple(replace(each, descriptor=ino) for each, ino in zip(group.sockets, inodes, strict=True))
    )


def read(descriptor: int) -> ListenersState | None:
    """Return what is described in a file, or None if it is not a description for this version and user."""
    try:
        checksum, _, rest = os.pread(descriptor, _MOST_BYTES, 0).partition(b"\n")
        text, _, _ = rest.partition(b"\n")
        if int(checksum, 16) != zlib.crc32(text):
            return None
        document = json.loads(text)
        if document["schema"] != _SCHEMA or document["uid"] != os.geteuid():
            return None
        return from_json(ListenersState, document["listeners"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


@dataclass(slots=True)
class StoredSockets:
    """What was stored.

    Attributes:
        names: the name of each descriptor that the service manager has.
        used: the names of those that the host uses.
    """

    names: set[str] = field(default_factory=set)
    used: set[str] = field(default_factory=set)
    _taken: set[int] = field(default_factory=set)
    _descriptors: dict[int, int] = field(default_factory=dict)
    _other: list[int] = field(default_factory=list)
    _state: ListenersState | None = None

    @classmethod
    def of(cls, descriptors: Iterable[tuple[int, str]]) -> StoredSockets:
        """Return those of these descriptors and names; they own the descriptors from now on."""
        found = cls()
        for descriptor, name in descriptors:
            found.names.add(name)
            if name == DESCRIPTION:
                found._other.append(descriptor)
                found._state = read(descriptor)
            else:
                found._descriptors[os.fstat(descriptor).st_ino] = descriptor
        return found

    def begin(self) -> None:
        """Let each be used: the host binds for the first time, or once more."""
        self._taken.clear()
        self.used.clear()

    def use(self, service: Service, address: Address, settings: Settings) -> list[SlotSocket]:
        """Return the sockets of an address, in their slots."""
        used: list[SlotSocket] = []
        families: set[int] = set()
        for index, state in enumerate(self._state.groups if self._state else ()):
            # Two addresses with port 0 may fit the same sockets.
            if index in self._taken or state.family in families or state.service != service.name:
                continue
            if self._fits(state, address) and (complete := self._complete(state)) is not None:
                self._taken.add(index)
                families.add(state.family)
                used += self._restored(complete, service, address, settings)
        return used

    def files(self, used: Iterable[SlotSocket]) -> list[OwnFile]:
        """Return the files of unix sockets that are used."""
        names = {each.group.sockaddr for each in used if each.group.has_file}
        return [each for each in (self._state.unix_files if self._state else ()) if str(each.path) in names]

    def close(self, log: EventLog) -> None:
        """Close what was returned, and log how much of it has no use; what is used was duplicated."""
        unused = self.names - self.used - {DESCRIPTION}
        if unused:
            log.warning("stored_sockets_dropped", count=len(unused), used=len(self.used))
        for descriptor in (*self._descriptors.values(), *self._other):
            os.close(descriptor)
        self._descriptors.clear()
        self._other.clear()

    def _fits(self, state: GroupState, address: Address) -> bool:
        kind = {"tls": "tcp"}
        if kind.get(state.scheme, state.scheme) != kind.get(address.scheme, address.scheme):
            return False
        if isinstance(state.sockaddr, str):
            # A path that leads to another file, or to none, is bound anew: no client would reach this socket there.
            files = [each for each in self._state.unix_files if str(each.path) == state.sockaddr] if self._state else []
            return state.sockaddr == address.path and (
                address.is_abstract or any(each.state() is FileState.PRESENT for each in files)
            )
        # With port 0 the host stays on the port that the kernel chose before.
        if address.port not in (0, state.sockaddr[1]):
            return False
        hosts = {(int(family), sockaddr[0], *sockaddr[3:]) for family, sockaddr in bind.resolve(address)}
        return (state.family, state.sockaddr[0], *state.sockaddr[3:]) in hosts

    def _complete(self, state: GroupState) -> GroupState | None:
        """Return a group with descriptors, without the sockets that the service manager does not have."""
        kept = [each for each in state.sockets if each.descriptor in self._descriptors]
        order = list(state.order)
        for index, each in enumerate(state.sockets):
            if each not in kept and index in order:
                # As the kernel does when a socket is closed.
                order[order.index(index)] = order[-1]
                order.pop()
        if not kept:
            return None
        sockets = tuple(replace(each, descriptor=os.dup(self._descriptors[each.descriptor])) for each in kept)
        self.used |= {name_of(each.descriptor) for each in kept}
        order = [kept.index(state.sockets[index]) for index in order]
        return replace(state, sockets=sockets, order=tuple(order), steered=state.steered and bool(order))

    def _restored(self, state: GroupState, service: Service, address: Address, settings: Settings) -> list[SlotSocket]:
        group, sockets = restore_group(state)
        group.scheme = "tls" if service.speaks_tls(address) else address.scheme
        limit = min(settings.workers, service.workers or MAX_WORKERS)
        used = []
        for each in sockets:
            if each.slot is not None and each.slot >= limit:
                if not each.is_open:
                    # Nothing can be queued there.
                    each.socket.close()
                    continue
                # One slot for each service, of the numbers that no worker has.
                each.slot = MAX_WORKERS + settings.services.index(service)
            if group.scheme in ("tcp", "tls"):
                set_stream_options(each.socket, settings.peer_timeout)
            used.append(each)
        return used


def leaving_slots(sockets: Iterable[SlotSocket]) -> dict[int, frozenset[str]]:
    """Return the slots of these sockets that leave, and the services of each."""
    found: dict[int, set[str]] = {}
    for each in sockets:
        if each.slot is not None and each.slot >= MAX_WORKERS:
            found.setdefault(each.slot, set()).add(each.group.service)
    return {slot: frozenset(services) for slot, services in found.items()}
