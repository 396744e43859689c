"""The bans of a host: which networks are refused, and until when.

Each ban, and each lifting of one, is a record with the time of the decision. All workers, the history of the bus, and
the file of a `state_dir` have copies; of two records of one network the later decision counts. So copies may arrive in
any order and more than once, and every holder ends with the same bans.

Times are Unix times in seconds. Nothing here reads a clock.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from reactorhost_guard import notation
from reactorhost_guard.addresses import Address, NetworkMap
from reactorhost_guard.notation import Network

OPERATOR = "operator"
_VERSION = 1
# A day that lasts 2**62 seconds overflows nothing, and no ban is doubled that often.
_MOST_DOUBLINGS = 62


@dataclass(frozen=True, slots=True)
class Ban:
    """A decision about a network.

    Attributes:
        decided_at: when it was made.
        until: when the ban ends, or would have ended before it was lifted.
        level: how many bans came shortly before, each of which doubled its time.
        reason: the limit that was exceeded, or `operator`.
        lifted: whether it ends an earlier ban.
        dry: whether it was made in a dry run, and refuses no client.
    """

    network: Network
    decided_at: float
    until: float
    level: int = 0
    reason: str = OPERATOR
    lifted: bool = False
    dry: bool = False

    def fields(self) -> dict[str, object]:
        """Return its attributes by name; `dataclasses.asdict` takes ten times as long."""
        return {
            "network": notation.shown(self.network),
            "decided_at": self.decided_at,
            "until": self.until,
            "level": self.level,
            "reason": self.reason,
            "lifted": self.lifted,
            "dry": self.dry,
        }

    def holds(self, now: float) -> bool:
        """Return whether it is in force now."""
        return not self.lifted and now < self.until


@dataclass(frozen=True, slots=True)
class BanTimes:
    """How long a ban is, in seconds: `first`, doubled for each ban before, at most `most`.

    For each `memory` that passes without a ban, one doubling is forgotten.
    """

    first: float
    most: float
    memory: float

    def seconds(self, level: int) -> float:
        """Return the length of a ban after `level` others."""
        return min(self.most, self.first * 2.0 ** min(level, _MOST_DOUBLINGS))

    def level(self, before: Ban | None, now: float) -> int:
        """Return the level of a new ban, after the last one of the same network."""
        if before is None or before.reason == OPERATOR:
            return 0
        forgotten = int(max(0.0, now - before.until) // self.memory)
        return max(0, before.level + 1 - forgotten)

    def forgotten(self, ban: Ban, now: float) -> bool:
        """Return whether a ban has no effect any more, neither on clients nor on the next ban."""
        return now >= ban.until and self.level(ban, now) == 0


class Bans:
    """The newest record of each network, at most `most` of them; of more, those that were made first are forgotten."""

    def __init__(self, times: BanTimes, most: int) -> None:
        self.times = times
        self.changes = 0
        """How often a record was added: a number to compare with an earlier one."""
        self._most = most
        self._records: OrderedDict[Network, Ban] = OrderedDict()
        self._by_address: NetworkMap[Ban] = NetworkMap()

    def __len__(self) -> int:
        return len(self._records)

    def find(self, address: Address, now: float, *, dry: bool = False) -> Ban | None:
        """Return a ban that holds for an address, with `dry` also one of a dry run."""
        found = (ban for ban in self._by_address.matches(address) if ban.holds(now) and (dry or not ban.dry))
        return next(found, None)

    def of(self, network: Network) -> Ban | None:
        """Return the newest record of exactly this network."""
        return self._records.get(network)

    def add(self, ban: Ban) -> bool:
        """Add a record; returns False if a later one of its network is known, or the same."""
        network = ban.network
        known = self._records.get(network)
        if known is not None and known.decided_at >= ban.decided_at:
            return False
        self._records[network] = ban
        self._records.move_to_end(network)
        self._by_address[network] = ban
        self.changes += 1
        if len(self._records) > self._most:
            oldest, _ = self._records.popitem(last=False)
            self._by_address.pop(oldest)
        return True

    def ban(self, network: Network, reason: str, now: float, *, dry: bool = False) -> Ban:
        """Return a new ban of a network, longer the more it was banned before; it is not added."""
        before = self._records.get(network)
        # One of a dry run has refused no client.
        counts = before is None or dry or not before.dry
        level = self.times.level(before, now) if counts else 0
        until = now + self.times.seconds(level)
        return Ban(network, later(now, before), until, level, reason, dry=dry)

    def prune(self, now: float) -> None:
        """Forget what has no effect any more."""
        memory = self.times.memory
        for network, ban in list(self._records.items()):
            # The first comparison alone for most of them: there may be many.
            if ban.until <= now and (ban.lifted or ban.until + memory <= now) and self.times.forgotten(ban, now):
                del self._records[network]
                self._by_address.pop(network)

    def count(self, now: float, *, dry: bool = False) -> int:
        """Return the number of bans that hold, with `dry` also those of a dry run."""
        # Without a call for each: it is called every second, and there may be many.
        return sum(now < ban.until and not ban.lifted and (dry or not ban.dry) for ban in self._records.values())

    def records(self) -> list[Ban]:
        """Return all records."""
        return list(self._records.values())


def later(now: float, before: Ban | None) -> float:
    """Return the time of a decision that replaces an earlier one, whatever the clock of that one was."""
    return now if before is None else max(now, before.decided_at + 1e-3)


def lifting(network: Network, before: Ban | None, now: float) -> Ban:
    """Return the record that ends a ban: kept as long as any copy of that ban would hold."""
    until = now if before is None else max(now, before.until)
    return Ban(network, later(now, before), until, lifted=True)


def encoded(bans: Iterable[Ban]) -> bytes:
    """Return records as a message, or as a file."""
    return json.dumps({"version": _VERSION, "bans": [ban.fields() for ban in bans]}).encode()


def decoded(data: bytes) -> list[Ban]:
    """Return the records of a message or a file; none of another version.

    Raises:
        ValueError: it is neither.
    """
    try:
        document = json.loads(data)
        return [_ban(**fields) for fields in document["bans"]] if document["version"] == _VERSION else []
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError(f"not a list of bans: {error!r}") from None


def _ban(network: str, **fields: Any) -> Ban:
    """Return a record from outside; raises a ValueError or TypeError for values that no ban has."""
    ban = Ban(notation.network(network), **fields)
    numbers = isinstance(ban.decided_at, int | float) and isinstance(ban.until, int | float)
    if not (numbers and isinstance(ban.level, int) and isinstance(ban.reason, str) and ban.reason.isidentifier()):
        raise ValueError(f"{fields} is not a ban")
    return ban
