"""The listening sockets: one for each service address and slot, made before any fork and kept by the master.

Ownership of the queue. With SO_REUSEPORT every socket has an accept queue of its own, and the kernel picks the socket
by a hash when the SYN arrives. Closing the last copy of a socket resets what is in its queue, half-open connections
included. The master therefore keeps a copy of every socket until its slot is retired: the queue belongs to the slot
and not to a worker, and a worker that ends in whatever way loses none of it. (net.ipv4.tcp_migrate_req would move the
queue to another socket, but it is off by default, and until 6.18.27, 6.12.86 and 6.6.140 it did not wake epoll.)
A kept socket still gets its share of the clients, so it must never be without a worker (plan/adoption.py).

Opening. A TCP socket joins its group at listen(), a UDP socket at bind(). A slot's TCP sockets are bound when the slot
is made, so that errors come early, and listen when its first worker is ready. Its UDP sockets are bound only then. Slot
0 is an exception: its UDP sockets are bound at the start, to reserve the port; datagrams that arrive before the first
worker wait in the buffer.

Exclusive use. Because of SO_REUSEPORT a second host of the same user binds the same port without an error. Before the
first bind a probe without the option fails with EADDRINUSE if a socket exists (`bind.probe`), also while it does not
listen yet: a TCP socket keeps SO_REUSEADDR cleared until then (`bind.tcp_socket`). All sockets of a group must be bound
by one effective user: workers change theirs, the master never does, so slots can be added later.

Order. The kernel numbers the sockets of a group in the order in which they joined, and closing one moves the last one
into its place. The BPF program that steers clients away from slots that leave returns such a number; one that is too
large makes the kernel fall back to its hash. `Group.order` repeats the kernel's list, and `close_slot` replaces the
program around every close, so that at no moment it returns the number of a socket that leaves.

Closing at a stop. The master closes its copies first. Each worker then accepts until its queues are empty and closes
the last copy; a connection that completes between these two calls is reset, which cannot be avoided.

Never shutdown() a socket that another process has too: it resets the whole queue for all of them. O_NONBLOCK belongs to
the description that all copies share, and is set once. Unix sockets have no SO_REUSEPORT: all slots share one socket.
So they do with sockets that a service manager passed (`passed_sockets`).
"""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from reactorhost.address import Address
from reactorhost.config.service import Service
from reactorhost.config.settings import Settings
from reactorhost.errors import ReactorhostError
from reactorhost.ipc.status import ListenerStatus
from reactorhost.master.listen import bind, group_sockets
from reactorhost.master.listen.listeners_state import ListenersState, SocketPositions, export_group, restore_group
from reactorhost.master.listen.passed_sockets import PassedSockets
from reactorhost.master.listen.queue_readings import QueueReadings
from reactorhost.master.listen.slot_socket import Group, Queue, SlotSocket
from reactorhost.master.listen.stored_sockets import leaving_slots
from reactorhost.master.listen.unix_socket_files import UnixSocketFiles
from reactorhost.system.fork import ForkRegistry
from reactorhost.system.own_file import FileState


class Listeners:
    """Every listening socket of a host; a forked worker keeps those of its slot (`registry`).

    `steered` says whether the slots that leave get no new connections.
    """

    def __init__(self, settings: Settings, registry: ForkRegistry, passed: PassedSockets | None = None) -> None:
        self._settings = settings
        self.passed = passed or PassedSockets()
        self._registry = registry
        self.groups: list[Group] = []
        self._sockets: list[SlotSocket] = []
        self._unix_files = UnixSocketFiles()
        self._leaving: Sequence[int] = ()
        self._full: Sequence[int] = ()
        self._readings = QueueReadings()
        self.steered = False

    def bind(self) -> None:
        """Resolve the address of every service, check that it is free, and bind the sockets of slot 0.

        Raises:
            ReactorhostError: an address is in use, unknown, or not permitted for this user.
        """
        # After `close` this is another try, because an address was in use: nothing stays of the first one.
        self.groups.clear()
        self.passed.begin()
        for service in self._settings.services:
            for address in service.listen:
                used, families = self.passed.use(service, address, self._settings)
                self._unix_files.restore(self.passed.stored.files(used))
                for each in used:
                    if each.group not in self.groups:
                        self.groups.append(each.group)
                    self._add(each)
                with bind.naming_setting(self._settings, f"service.{service.name}.listen", "--listen"):
                    if address.scheme == "unix" and not used:
                        self._bind_unix(service, address)
                    elif address.scheme not in ("fd", "unix"):
                        self._bind_internet(service, address, families)
        # Also without any: sockets that were stored may have a program that steers.
        self.steer_away(tuple(leaving_slots(self._sockets)))

    def own(self) -> list[SlotSocket]:
        """Return the sockets that this host made."""
        return [each for each in self._sockets if not each.group.is_passed]

    def export(self) -> ListenersState:
        """Return the state of all sockets, whose descriptors stay open."""
        groups = tuple(export_group(group, self._sockets) for group in self.groups)
        files = self._unix_files.made()
        return ListenersState(groups, files, tuple(self._leaving), tuple(self._full), self.steered)

    def restore(self, state: ListenersState) -> None:
        """Own the sockets of another process or program from now on, in place of `bind`."""
        for each in state.groups:
            group, sockets = restore_group(each)
            self.groups.append(group)
            for sock in sockets:
                self._add(sock)
        self._unix_files.restore(state.unix_files)
        self._leaving, self._full, self.steered = state.leaving, state.full, state.steered

    def positions(self) -> SocketPositions:
        """Return where each socket is in the state that `export` returns, or that was restored."""
        return SocketPositions(self.groups, self._sockets)

    def open_slot(self, slot: int, services: Collection[str]) -> None:
        """Make the sockets of these services that a slot lacks; no client reaches them yet.

        Raises:
            OSError: the system has no room for them, or an address was removed from this machine.
        """
        # It has some already if it is slot 0, or wanted again before it was closed.
        present = {each.group for each in self.owned_by(slot)}
        for group in self.groups:
            if group.service in services and not group.is_shared and group not in present:
                self._add(SlotSocket(slot, group, group_sockets.unopened(group, self._settings)))

    def of_slot(self, slot: int, services: Collection[str]) -> list[SlotSocket]:
        """Return the sockets that a worker of this slot accepts from, those shared of `services` included."""
        shared = [each for each in self.shared() if each.group.service in services]
        return [*self.owned_by(slot), *shared]

    def shared(self) -> list[SlotSocket]:
        """Return the sockets that all slots share: those of unix addresses, and those that were passed to the host."""
        return [each for each in self._sockets if each.slot is None]

    def file_state(self, each: SlotSocket) -> FileState:
        """Return what is at the path of a unix socket; an abstract name is always present."""
        if not each.group.has_file:
            return FileState.PRESENT
        return self._unix_files.state(Path(str(each.group.sockaddr)))

    def bind_again(self, old: SlotSocket) -> None:
        """Put a new unix socket in the place of one whose file was removed; workers have the old one until they get it.

        Raises:
            ReactorhostError: the path is in use, or cannot be bound.
        """
        service = next(each for each in self._settings.services if each.name == old.group.service)
        path = Path(str(old.group.sockaddr))
        new = SlotSocket(None, old.group, self._unix_files.bind(path, service))
        self._add(new)
        if old.is_open:
            # Not of slots, so nothing is steered by the order.
            new.open(self._settings.backlog)
            old.group.order.remove(old)
        self._sockets.remove(old)
        self._close(old)

    def owned_by(self, slot: int) -> list[SlotSocket]:
        """Return the sockets that only this slot has."""
        return [each for each in self._sockets if each.slot == slot]

    def open(self, sockets: Sequence[SlotSocket]) -> None:
        """Let clients reach these sockets and the shared ones; called when a worker that borrowed them is ready.

        Raises:
            ReactorhostError: an address was removed from this machine, or taken; the other sockets are open.
        """
        problem: ReactorhostError | None = None
        # Since the fork of the worker, one of its own may have been closed, and a shared one made again.
        for each in [*(each for each in sockets if each in self._sockets), *self.shared()]:
            if not each.is_open:
                try:
                    self._open(each)
                except OSError as error:
                    problem = bind.bind_error(str(each.group), error)
        # A socket that joined a steered group is not known to its program yet.
        self._steer_all()
        if problem is not None:
            raise problem

    def steer_away(self, slots: Sequence[int]) -> bool:
        """Keep new connections away from these slots; returns False where the kernel refuses the program."""
        self._leaving = slots
        return self._steer_all()

    def avoid(self, slots: Sequence[int]) -> None:
        """Keep new connections away from these slots where the kernel can; their workers are full."""
        self._full = slots
        self._steer_all()

    def status(self) -> list[ListenerStatus]:
        """Return the listeners' part of the status document."""
        return self._readings.of([group for group in self.groups if group.order], time.monotonic())

    def queues(self) -> Iterator[tuple[str, str, Queue]]:
        """Yield service, address and queue of every open socket."""
        return ((group.service, str(group), each.queue()) for group in self.groups for each in group.order)

    def queued(self, slot: int) -> int:
        """Return how many clients wait in a slot's own queues."""
        return sum(each.queued() for each in self.owned_by(slot))

    def waiting(self, services: Collection[str]) -> int:
        """Return how many TCP clients of these services wait in all queues."""
        groups = [each for each in self.groups if each.service in services and each.scheme in ("tcp", "tls")]
        return sum(each.queued() for group in groups for each in group.order)

    def move(self, service: str, slots: Collection[int], to: int | None) -> bool:
        """Move a service's open sockets from these slots to another one, close others; returns whether one moved."""
        given_up = [each for each in self._sockets if each.slot in slots and each.group.service == service]
        for each in given_up:
            if each.is_open and to is not None:
                each.slot = to
            else:
                self._sockets.remove(each)
                self._close(each)
        return any(each.is_open for each in given_up)

    def close_slot(self, slot: int) -> None:
        """Close a slot's own sockets, and reset what is still queued there."""
        for each in self.owned_by(slot):
            self._sockets.remove(each)
            order = each.group.order
            if each in order:
                # Closing moves the last socket to this one's number. The program that is attached meanwhile excludes
                # both numbers, so it is right before and after the close.
                self._steer(each.group, len(order) - 1)
                order[order.index(each)] = order[-1]
                order.pop()
            self._close(each)
            self._steer(each.group)
        # A slot that gets this number later is not steered away.
        self._leaving = [number for number in self._leaving if number != slot]

    def close(self) -> None:
        """Close every socket, and remove the files of unix sockets that this host made."""
        # Before the sockets: see `OwnFile`.
        self._unix_files.remove()
        for each in self._sockets:
            self._close(each)
            each.group.order.clear()
        self._sockets.clear()

    def effective_backlog(self) -> int:
        """Return the length that a queue can reach."""
        return bind.effective_backlog(self._settings.backlog)

    # Binding.

    def _bind_internet(self, service: Service, address: Address, served: Collection[int]) -> None:
        """Bind an address for every family but those that are `served` already."""
        for each in group_sockets.bind_first(service, address, served, self._settings):
            self.groups.append(each.group)
            self._add(each)

    def _open(self, each: SlotSocket) -> None:
        # A host that started in the same moment can have taken the file for one that a killed process left.
        if each.slot is None and self.file_state(each) is FileState.REPLACED:
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
        each.open(self._settings.backlog)

    def _bind_unix(self, service: Service, address: Address) -> None:
        if address.is_abstract:
            sock = bind.abstract_socket(address)
        else:
            sock = self._unix_files.bind(Path(address.path), service)
        group = Group(service.name, "unix", socket.AF_UNIX, address.path)
        self.groups.append(group)
        self._add(SlotSocket(None, group, sock))

    def _add(self, each: SlotSocket) -> None:
        self._sockets.append(each)
        self._registry.add(each, each.socket.close)

    def _close(self, each: SlotSocket) -> None:
        self._registry.discard(each)
        each.socket.close()

    # Steering.

    def _steer_all(self) -> bool:
        # Not `all` over a generator: every group is steered, also after one that the kernel refuses.
        results = [self._steer(group) for group in self.groups]
        self.steered = all(results)
        return self.steered

    def _steer(self, group: Group, *excluded: int) -> bool:
        return group.steer(self._leaving, self._full, excluded)
