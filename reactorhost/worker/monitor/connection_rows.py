"""The rows of connections and of groups of them, and which connections a query matches."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from operator import attrgetter
from typing import Any

from reactorhost.ipc.connection_query import ConnectionQuery, Grouping, Row, Sort
from reactorhost.tls.facts import TlsFacts
from reactorhost.worker.admission.networks import Networks, packed
from reactorhost.worker.monitor.connection_rates import RatesSince
from reactorhost.worker.stream.transport import StreamTransport
from reactorhost.worker.udp.connected import ConnectedTransport

Transport = StreamTransport | ConnectedTransport

_KEYS: dict[Sort, Callable[[Transport], Any]] = {
    Sort.ID: attrgetter("connection.id"),
    Sort.PEER: lambda transport: str(transport.connection.peer),
    Sort.AGE: attrgetter("connection.age"),
    # Ascending times are descending durations.
    Sort.IDLE: lambda transport: -transport.active_at,
    Sort.IN: attrgetter("connection.bytes_in"),
    Sort.OUT: attrgetter("connection.bytes_out"),
    Sort.QUEUED: attrgetter("connection.queued"),
}


def sort_key(query: ConnectionQuery, rates: RatesSince | None) -> Callable[[Transport], Any]:
    """Return the key of a transport that sorts it as the query sorts its row."""
    if rates is not None and query.sort.needs_rates:
        position = 0 if query.sort is Sort.RATE_IN else 1
        unknown = _unknown(query)

        def rate(transport: Transport) -> float:
            found = rates.of(transport.connection)[position]
            return unknown if found is None else found

        return rate
    return _KEYS[query.sort]


def row_key(query: ConnectionQuery) -> Callable[[Row], Any]:
    """Return the key of a row that sorts it as the query does."""
    field, unknown = query.sort.field, _unknown(query)

    def value(row: Row) -> Any:
        found = row.get(field)
        return unknown if found is None else found

    return value


def _unknown(query: ConnectionQuery) -> float:
    """Return a key that is the last one in the order of the query."""
    return -1.0 if query.is_descending else float("inf")


def matcher(query: ConnectionQuery) -> Callable[[Transport], bool] | None:
    """Return the function that selects the connections of a query, or None if it has no filter."""
    tests: list[Callable[[Transport], bool]] = []
    if query.id is not None:
        tests.append(lambda transport: transport.connection.id == query.id)
    if query.service is not None:
        tests.append(lambda transport: transport.connection.service == query.service)
    if query.peer is not None:
        tests.append(_peer_test(query.peer))
    if not tests:
        return None
    return tests[0] if len(tests) == 1 else lambda transport: all(test(transport) for test in tests)


def _peer_test(text: str) -> Callable[[Transport], bool]:
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        part = text.casefold()
        return lambda transport: part in str(transport.connection.peer).casefold()
    networks = Networks([str(network)])

    def is_inside(transport: Transport) -> bool:
        address = packed(transport.connection.peer.host)
        return address is not None and networks.contain(address)

    return is_inside


def row(transport: Transport, now: float, rates: RatesSince | None) -> Row:
    """Return the row of a connection."""
    connection = transport.connection
    found: Row = {
        "id": connection.id,
        "service": connection.service,
        "peer": str(connection.peer),
        "age_seconds": round(connection.age, 3),
        "idle_seconds": round(max(0.0, now - transport.active_at), 3),
        "bytes_in": connection.bytes_in,
        "bytes_out": connection.bytes_out,
        "queued_bytes": connection.queued,
        "state": transport.close_state.value,
        "tls": None if connection.tls is None else _tls_fields(connection.tls),
    }
    if rates is not None:
        found["in_per_second"], found["out_per_second"] = rates.of(connection)
    return found


def _tls_fields(facts: TlsFacts) -> dict[str, str | None]:
    subject = None if facts.certificate is None else _name(facts.certificate.get("subject", ()))
    return {"version": facts.version, "cipher": facts.cipher, "server_name": facts.server_name, "subject": subject}


def _name(subject: Any) -> str:
    """Return a distinguished name as `ssl` has it in one text, such as `organizationName=Example, commonName=db`."""
    return ", ".join(f"{name}={value}" for part in subject for name, value in part)


_NO_SUMS = dict.fromkeys(("connections", "bytes_in", "bytes_out", "queued_bytes"), 0)


class Groups:
    """Sums over the connections of each group."""

    def __init__(self, grouping: Grouping, rates: RatesSince | None) -> None:
        self._grouping = grouping
        self._rates = rates
        self._rows: dict[str, Row] = {}

    def add(self, transport: Transport, now: float) -> None:
        """Add a connection to its group."""
        connection = transport.connection
        name = connection.service if self._grouping is Grouping.SERVICE else connection.peer.host
        age, idle = round(connection.age, 3), round(max(0.0, now - transport.active_at), 3)
        group = self._rows.get(name)
        if group is None:
            group = self._rows[name] = {
                self._grouping.value: name,
                **_NO_SUMS,
                "age_seconds": age,
                "idle_seconds": idle,
            }
            if self._rates is not None:
                group["in_per_second"] = group["out_per_second"] = None
        group["connections"] += 1
        group["bytes_in"] += connection.bytes_in
        group["bytes_out"] += connection.bytes_out
        group["queued_bytes"] += connection.queued
        group["age_seconds"] = max(group["age_seconds"], age)
        group["idle_seconds"] = min(group["idle_seconds"], idle)
        if self._rates is not None:
            bytes_in, bytes_out = self._rates.of(connection)
            if bytes_in is not None and bytes_out is not None:
                group["in_per_second"] = round((group["in_per_second"] or 0.0) + bytes_in, 1)
                group["out_per_second"] = round((group["out_per_second"] or 0.0) + bytes_out, 1)

    def rows(self) -> list[Row]:
        """Return a row for each group."""
        return list(self._rows.values())
