"""Which connections the verb `connections` lists: a filter, an order, a number and groups.

A worker selects among its own connections, and the master merges what several workers have selected. Both must have the
same order: the first rows of all are then among the first rows of each.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Self, TypeVar

from reactorhost.errors import UsageError, did_you_mean

MOST_ROWS = 1000
"""The largest limit. Without a limit all connections are listed, and nothing is sorted."""

Row = dict[str, Any]

_E = TypeVar("_E", bound=enum.StrEnum)


class Sort(enum.StrEnum):
    """What rows are sorted by: ids and peers in ascending order, all others in descending order."""

    ID = "id"
    PEER = "peer"
    AGE = "age"
    IDLE = "idle"
    IN = "in"
    OUT = "out"
    QUEUED = "queued"
    RATE_IN = "rate_in"
    RATE_OUT = "rate_out"
    CONNECTIONS = "connections"
    """Of groups, and their default."""

    @property
    def field(self) -> str:
        """The field of a row."""
        return _FIELDS[self]

    @property
    def needs_rates(self) -> bool:
        """Whether it compares rates."""
        return self in (Sort.RATE_IN, Sort.RATE_OUT)


_FIELDS = {
    Sort.ID: "id",
    Sort.PEER: "peer",
    Sort.AGE: "age_seconds",
    Sort.IDLE: "idle_seconds",
    Sort.IN: "bytes_in",
    Sort.OUT: "bytes_out",
    Sort.QUEUED: "queued_bytes",
    Sort.RATE_IN: "in_per_second",
    Sort.RATE_OUT: "out_per_second",
    Sort.CONNECTIONS: "connections",
}


class Grouping(enum.StrEnum):
    """What the connections of one row have in common: the host of the peer, or the service."""

    PEER = "peer"
    SERVICE = "service"


@dataclass(frozen=True, slots=True)
class ConnectionQuery:
    """A request for connections.

    Attributes:
        service: the only service, or None for all.
        peer: an address or a network, or a part of the peer's text; None for all.
        slot: the only slot, or None.
        pid: the only worker, or None.
        id: the only connection, or None.
        reverse: whether the order is the opposite one.
        limit: the most rows; None for all, which are not sorted.
        group: the groups to return in place of connections.
        rates: whether rows have rates, since an earlier query with rates.
    """

    service: str | None = None
    peer: str | None = None
    slot: int | None = None
    pid: int | None = None
    id: int | None = None
    sort: Sort = Sort.ID
    reverse: bool = False
    limit: int | None = None
    group: Grouping | None = None
    rates: bool = False

    @classmethod
    def of(cls, message: Mapping[str, Any]) -> Self:
        """Read the query in a message.

        Raises:
            UsageError: a value is invalid.
        """
        given = {each.name: message[each.name] for each in fields(cls) if message.get(each.name) is not None}
        for name in ("service", "peer"):
            _check(name, given.get(name, ""), str)
        for name in ("reverse", "rates"):
            _check(name, given.get(name, False), bool)
        for name in ("slot", "pid", "id", "limit"):
            _check(name, given.get(name, 0), int)
        if not 0 <= given.get("limit", 0) <= MOST_ROWS:
            raise UsageError(f"limit {given['limit']} is not between 0 and {MOST_ROWS}", hint="leave it out for all")
        given["sort"] = _one_of(Sort, given.get("sort", Sort.ID), "sort")
        if "group" in given:
            given["group"] = _one_of(Grouping, given["group"], "group")
            if given["sort"] is Sort.ID:
                given["sort"] = Sort.CONNECTIONS
        elif given["sort"] is Sort.CONNECTIONS:
            raise UsageError("only groups can be sorted by connections", hint="group by peer or service")
        return cls(**given)

    def as_fields(self) -> dict[str, Any]:
        """Return the values that are not the defaults, for a message."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: value for name, value in values.items() if value != getattr(_DEFAULT, name)}

    @property
    def has_rates(self) -> bool:
        """Whether rates are needed."""
        return self.rates or self.sort.needs_rates

    @property
    def is_descending(self) -> bool:
        """Whether the largest values are first."""
        return (self.sort not in (Sort.ID, Sort.PEER)) is not self.reverse

    def ordered(self, rows: Iterable[Row]) -> list[Row]:
        """Return the first rows in the order of the query; those with an unknown value are the last ones."""
        field = self.sort.field
        # Sorting is stable: rows of the same value stay in the order of their worker and number, so that a view of them
        # does not flicker.
        numbered = sorted(rows, key=_identity)
        if self.sort is Sort.ID:
            return (numbered[::-1] if self.reverse else numbered)[: self.limit]
        known = [row for row in numbered if row.get(field) is not None]
        known.sort(key=lambda row: row[field], reverse=self.is_descending)
        return [*known, *(row for row in numbered if row.get(field) is None)][: self.limit]


_DEFAULT = ConnectionQuery()


def _identity(row: Row) -> tuple[int, int, int, str, str]:
    return row.get("slot", 0), row.get("pid", 0), row.get("id", 0), row.get("peer", ""), row.get("service", "")


def _check(name: str, value: object, kind: type) -> None:
    # A bool is an int.
    if type(value) is not kind:
        raise UsageError(f"{name} has the wrong type: {value!r}", hint=f"a {kind.__name__} is expected")


def _one_of(kind: type[_E], value: str, name: str) -> _E:
    try:
        return kind(value)
    except ValueError:
        hint = did_you_mean(str(value), kind) or f"one of {', '.join(kind)}"
        raise UsageError(f"there is no {name} {value!r}", hint=hint) from None


def add_to_group(group: Row, other: Row) -> None:
    """Add the numbers of a group to those of the same group in another worker."""
    for field in ("connections", "bytes_in", "bytes_out", "queued_bytes"):
        group[field] += other[field]
    group["age_seconds"] = max(group["age_seconds"], other["age_seconds"])
    group["idle_seconds"] = min(group["idle_seconds"], other["idle_seconds"])
    for field in ("in_per_second", "out_per_second"):
        known = [row[field] for row in (group, other) if row.get(field) is not None]
        if known:
            group[field] = round(sum(known), 1)
