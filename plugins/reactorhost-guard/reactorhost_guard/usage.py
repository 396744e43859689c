"""What each client address, and each network, has used of its limits, in bounded memory.

What has open connections is held. The rest is kept in the order in which it was last used, and of more than `most` the
oldest is forgotten: an address that comes back later begins with full buckets. So many addresses can make the guard
forgive, but never make it refuse a client for what others did.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reactorhost_guard.meters import Limit, Meter

if TYPE_CHECKING:
    from reactorhost import Connection


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of every address, or of every network; None for none."""

    connects: Limit | None = None
    messages: Limit | None = None
    bytes: Limit | None = None
    strikes: Limit | None = None

    @property
    def of_input(self) -> bool:
        """Whether what a client sends is limited."""
        return self.messages is not None or self.bytes is not None

    @property
    def of_clients(self) -> bool:
        """Whether the connections of a client, or what it sends, are limited."""
        return self.connects is not None or self.of_input

    @property
    def large_bytes(self) -> int:
        """The size of a message above which the next one may be too late; a very large number without `slow`."""
        return sys.maxsize if self.bytes is None else self.bytes.slow_tokens

    def slows(self, *names: str) -> bool:
        """Return whether one of these limits slows clients down."""
        found: list[Limit | None] = [getattr(self, name) for name in names]
        return any(each is not None and each.slow_seconds is not None for each in found)


class Usage:
    """The meters of one address or network, each made when its limit first matters.

    Attributes:
        key: what it is found by.
        network: the usage of the network of an address that is held.
        connections: the open connections of an address.
        holders: how many connections, or addresses of a network, hold it.
        is_touched: whether it is among those that may have something to share.
    """

    __slots__ = (
        "bytes",
        "connections",
        "connects",
        "holders",
        "is_touched",
        "key",
        "messages",
        "network",
        "strikes",
    )

    def __init__(self, key: int, limits: Limits) -> None:
        self.key = key
        self.network: Usage | None = None
        self.connections: set[Connection] | None = None
        self.holders = 0
        self.is_touched = False
        self.connects = limits.connects and Meter(limits.connects)
        # Most addresses of a flood connect and send nothing.
        self.messages: Meter | None = None
        self.bytes: Meter | None = None
        self.strikes: Meter | None = None

    def meter(self, name: str, limits: Limits) -> Meter | None:
        """Return the meter of a limit by name, or None if there is no such limit."""
        found: Meter | None = getattr(self, name)
        if found is None:
            limit: Limit | None = getattr(limits, name)
            if limit is not None:
                found = Meter(limit)
                setattr(self, name, found)
        return found


class UsageTable:
    """The usage of addresses, or of networks; at most `most` of those without open connections."""

    def __init__(self, limits: Limits, most: int) -> None:
        self.limits = limits
        self._most = most
        self._touched: list[Usage] = []
        self._held: dict[int, Usage] = {}
        # Not a dict: removing the first key of a dict again and again takes longer and longer.
        self._idle: OrderedDict[int, Usage] = OrderedDict()

    def __len__(self) -> int:
        return len(self._held) + len(self._idle)

    def connections(self, key: int) -> list[Connection]:
        """Return the open connections of an address."""
        usage = self._held.get(key)
        return list(usage.connections or ()) if usage else []

    def find(self, key: int) -> Usage:
        """Return the usage of a key, which is new if it is not known."""
        usage = self._held.get(key)
        if usage is not None:
            return usage
        usage = self._idle.get(key)
        if usage is not None:
            self._idle.move_to_end(key)
            return usage
        usage = Usage(key, self.limits)
        self._keep(usage)
        return usage

    def hold(self, usage: Usage) -> None:
        """Keep a usage until it is released as often as it was held."""
        if not usage.holders:
            self._idle.pop(usage.key, None)
            self._held[usage.key] = usage
            self.meter_input(usage)
        usage.holders += 1

    def release(self, usage: Usage) -> None:
        """End one hold."""
        usage.holders -= 1
        if not usage.holders:
            del self._held[usage.key]
            self._keep(usage)

    def take_connect(self, usage: Usage, now: float) -> bool:
        """Count a new connection, unless that is too many."""
        self.touch(usage)
        return usage.connects is None or usage.connects.take(1, now)

    def meter_input(self, usage: Usage) -> None:
        """Make the meters that `exceeded` counts with; one that is held has them."""
        usage.meter("messages", self.limits)
        usage.meter("bytes", self.limits)

    def exceeded(self, usage: Usage, size: int, now: float) -> str | None:
        """Count a message of so many bytes; returns the limit that was exceeded already, or None."""
        meter = usage.messages
        if meter is not None and not meter.take(1, now):
            return "messages"
        meter = usage.bytes
        if meter is not None and not meter.take(size, now):
            return "bytes"
        if not usage.is_touched:
            self.touch(usage)
        return None

    def slow_down(self, usage: Usage, exceeded: str, size: int, now: float) -> tuple[str, float | None]:
        """Count a message that has exceeded a limit; returns a limit, and how long the client is to wait because of it.

        The time is None if that limit refuses the message.
        """
        self.touch(usage)
        messages_wait = 0.0
        if exceeded == "messages":
            assert usage.messages is not None
            wait = usage.messages.take_late(1, now)
            if wait is None or usage.bytes is None:
                return exceeded, wait
            if usage.bytes.take(size, now):
                return exceeded, max(wait, self.excess(usage, now))
            messages_wait = wait
        assert usage.bytes is not None
        wait = usage.bytes.take_late(size, now)
        return "bytes", None if wait is None else max(messages_wait, wait)

    def excess(self, usage: Usage, now: float) -> float:
        """Return the seconds that missing bytes take, if the next message would be refused for them."""
        return 0.0 if usage.bytes is None else usage.bytes.late(now)

    def debt(self, usage: Usage, now: float) -> float:
        """Return the seconds for which a client that connects now is not to be read."""
        meters = (each for each in (usage.messages, usage.bytes) if each is not None)
        return max((each.wait(now) for each in meters if each.limit.slow_seconds is not None), default=0.0)

    def take_strike(self, usage: Usage, now: float) -> bool:
        """Count a strike; returns whether it is the last one before a ban, after which none is left."""
        meter = usage.meter("strikes", self.limits)
        if meter is None:
            return False
        self.touch(usage)
        meter.take(1, now)
        if not meter.wait(now):
            return False
        meter.refill()
        return True

    def touch(self, usage: Usage) -> None:
        """Note that a usage may have something to share."""
        if not usage.is_touched:
            usage.is_touched = True
            self._touched.append(usage)

    def take_touched(self) -> list[Usage]:
        """Return what was touched since the last call."""
        touched, self._touched = self._touched, []
        for usage in touched:
            usage.is_touched = False
        return touched

    def _keep(self, usage: Usage) -> None:
        self._idle[usage.key] = usage
        if len(self._idle) > self._most:
            self._idle.popitem(last=False)
