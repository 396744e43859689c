"""Members of groups that have joined with an `info`, of all workers, and the hooks `joined` and `left`.

Each worker is the only writer of its own members, and has a copy of those of the others. A worker is notified of a
change of the members, its own or of another worker, and calls the hooks for it at the end of the turn. The hooks are
behind the members when they are slow, or many members change at once. Changes of one member that wait are then combined
into one: what waits is bounded by the number of members, and each `joined` is followed by its `left`.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping

from reactorhost.bus.member import Member
from reactorhost.bus.refs import Origin, Ref
from reactorhost.worker.bus.contract import Outbound
from reactorhost.worker.hooks.worker_calls import Call, WorkerCalls

# `GROUP\0NUMBER`: no name of a group contains a NUL.
_ENTRY = re.compile(r"([^\0]+)\0([1-9][0-9]{0,18})")


class Presence:
    """The members with an `info`, as far as they are known in this worker.

    Attributes:
        outbound: where changes of the own members are sent; None without other workers.
    """

    def __init__(self, own: Origin, calls: WorkerCalls) -> None:
        self.outbound: Outbound | None = None
        self._origin = own
        self._changes = _Changes(calls)
        # By group, so that reading one does not depend on the others. Groups without members are removed.
        self._own: dict[str, dict[int, bytes]] = {}
        self._others: dict[str, dict[tuple[Origin, int], bytes]] = {}

    def members(self, group: str) -> list[Member]:
        """Return those of this worker in the order in which they have joined, then the others by worker and number."""
        own = self._own.get(group, {})
        found = [_member(self._origin, number, info) for number, info in own.items()]
        others = self._others.get(group, {})
        for origin, number in sorted(others, key=_order):
            found.append(_member(origin, number, others[origin, number]))
        return found

    # Of this worker.

    def set_info(self, group: str, number: int, info: bytes | None) -> None:
        """Set the `info` of a connection of this worker in a group; None: it has left, or has no `info`."""
        members = self._own.setdefault(group, {})
        before = members.get(number)
        if info is None:
            members.pop(number, None)
        else:
            members[number] = info
        if not members:
            del self._own[group]
        if info != before:
            self._changes.note(group, self._origin, number, before, info)
            if self.outbound is not None:
                self.outbound.set_member(f"{group}\0{number}", info)

    # Of the others.

    def changed(
        self, origin: Origin, removed: Iterable[str], added: Mapping[str, bytes], *, first: bool = False
    ) -> None:
        """Apply a change of another worker; `first`: its members were there before this worker knew of it."""
        for group, number in _parsed(removed):
            # One whose info has changed keeps its place.
            if f"{group}\0{number}" not in added:
                self._set_other(group, origin, number, None)
        for group, number in _parsed(added):
            self._set_other(group, origin, number, added[f"{group}\0{number}"], silent=first)

    def gone(self, origin: Origin, members: Iterable[str]) -> None:
        """Remove the members of a worker that has ended or is silent."""
        self.changed(origin, members, {})

    def _set_other(self, group: str, origin: Origin, number: int, info: bytes | None, *, silent: bool = False) -> None:
        members = self._others.setdefault(group, {})
        before = members.pop((origin, number), None) if info is None else members.get((origin, number))
        if info is not None:
            members[origin, number] = info
        if not members:
            del self._others[group]
        if info != before:
            self._changes.note(group, origin, number, before, info, silent=silent)


class _Changes:
    """The changes for which the hooks have not been called yet.

    For each member: the info that the hooks know, None for none, and the one that it has now.
    """

    def __init__(self, calls: WorkerCalls) -> None:
        self._calls = calls
        self._wanted = calls.has("joined") or calls.has("left")
        # Ordered: its `popitem` of the first is not slowed down by those that were removed before.
        self._waiting: OrderedDict[tuple[str, Origin, int], tuple[bytes | None, bytes | None]] = OrderedDict()
        self._scheduled = False

    def note(
        self,
        group: str,
        origin: Origin,
        number: int,
        before: bytes | None,
        after: bytes | None,
        *,
        silent: bool = False,
    ) -> None:
        """Call the hooks for a change; a `silent` one only if the hooks are behind with the same member."""
        if not self._wanted:
            return
        key = group, origin, number
        waiting = self._waiting.get(key)
        if waiting is None and silent:
            return
        known = before if waiting is None else waiting[0]
        if after == known:
            del self._waiting[key]
            return
        self._waiting[key] = known, after
        if not self._scheduled:
            self._scheduled = True
            self._calls.call_each(self._hook_calls())

    def _hook_calls(self) -> Iterator[Call]:
        while self._waiting:
            (group, origin, number), (known, after) = self._waiting.popitem(last=False)
            if known is not None:
                yield "left", (group, _member(origin, number, known))
            if after is not None:
                yield "joined", (group, _member(origin, number, after))
        self._scheduled = False


def _member(origin: Origin, number: int, info: bytes) -> Member:
    return Member(str(Ref(origin.host, origin.worker, number)), info)


def _order(member: tuple[Origin, int]) -> tuple[bytes, bytes, int]:
    origin, number = member
    return origin.host, origin.worker, number


def _parsed(entries: Iterable[str]) -> Iterator[tuple[str, int]]:
    """Yield group and number of each entry; a host of another version may have entries that are not understood."""
    for entry in entries:
        found = _ENTRY.fullmatch(entry)
        if found is not None:
            yield found[1], int(found[2])
