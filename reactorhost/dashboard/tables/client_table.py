"""The tables of clients, and of clients that are grouped by their address or service."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from reactorhost.dashboard.model.snapshot import ConnectionRow
from reactorhost.dashboard.text.grid import Cell, Field
from reactorhost.dashboard.text.quantities import UNKNOWN, amount, duration, number
from reactorhost.dashboard.text.styles import WARN
from reactorhost.ipc.connection_query import Grouping, Sort

ClientField = Field[ConnectionRow]


def columns_of(group: Grouping | None) -> Sequence[ClientField]:
    """Return the columns of clients or of groups of them."""
    if group is None:
        return _CLIENTS
    return (_ADDRESS if group is Grouping.PEER else _SERVICE, *_GROUPS)


def _tls(row: ConnectionRow) -> str:
    """Return version, server name and the subject of the client's certificate."""
    facts = row["tls"]
    if not facts:
        return UNKNOWN
    return ", ".join(each for each in (facts["version"], facts["server_name"], facts["subject"]) if each)


def _rate(value: float | None) -> str:
    return UNKNOWN if value is None else amount(value)


def _queued(count: int) -> Cell:
    return (amount(count), WARN) if count else "0"


def _state(state: str) -> Cell:
    return state, "" if state == "open" else WARN


_TIMES: Sequence[ClientField] = (
    Field("AGE", 6, lambda row: duration(row["age_seconds"]), from_width=32, name=Sort.AGE, key="A"),
    Field("IDLE", 6, lambda row: duration(row["idle_seconds"]), from_width=40, name=Sort.IDLE, key="L"),
)
_TRAFFIC: Sequence[ClientField] = (
    Field("IN/s", 6, lambda row: _rate(row["in_per_second"]), from_width=60, name=Sort.RATE_IN, key="B"),
    Field("OUT/s", 6, lambda row: _rate(row["out_per_second"]), from_width=60, name=Sort.RATE_OUT, key="S"),
    Field("IN", 6, lambda row: amount(row["bytes_in"]), from_width=80, name=Sort.IN),
    Field("OUT", 6, lambda row: amount(row["bytes_out"]), from_width=80, name=Sort.OUT),
    Field("QUEUED", 7, lambda row: _queued(row["queued_bytes"]), from_width=70, name=Sort.QUEUED, key="Q"),
)
_CLIENTS: Sequence[ClientField] = (
    Field("PEER", 22, lambda row: str(row["peer"]), left=True, name=Sort.PEER, largest_first=False, key="O"),
    *_TIMES,
    *_TRAFFIC,
    Field("SERVICE", 12, lambda row: str(row["service"]), left=True, from_width=96),
    Field("STATE", 8, lambda row: _state(row["state"]), left=True, from_width=106),
    Field("WORKER", 6, lambda row: str(row["slot"]), from_width=114),
    Field("ID", 9, lambda row: str(row["id"]), from_width=126, name=Sort.ID, largest_first=False),
    Field("TLS", 10, _tls, left=True, from_width=140),
)
_ADDRESS: ClientField = Field(
    "ADDRESS", 28, lambda row: str(row["peer"]), left=True, name=Sort.PEER, largest_first=False, key="O"
)
_SERVICE: ClientField = Field("SERVICE", 28, lambda row: str(row["service"]), left=True)
# An address alone is longer than the first columns of clients.
_GROUPS: Sequence[ClientField] = (
    Field("CLIENTS", 8, lambda row: number(row["connections"]), name=Sort.CONNECTIONS, key="C"),
    *(replace(field, from_width=field.from_width + 16) for field in (*_TIMES, *_TRAFFIC)),
)
