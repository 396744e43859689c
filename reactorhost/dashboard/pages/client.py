"""The page of one client: what its worker reports of it."""

from __future__ import annotations

from collections.abc import Sequence

from reactorhost.dashboard.model.snapshot import ConnectionRow, Snapshot
from reactorhost.dashboard.model.view import View
from reactorhost.dashboard.pages.clients import DISCONNECT
from reactorhost.dashboard.pages.page import text_page
from reactorhost.dashboard.text.facts import Fact, Section, fact_lines
from reactorhost.dashboard.text.line import Line, line
from reactorhost.dashboard.text.quantities import amount, duration
from reactorhost.dashboard.text.styles import WARN


def client_page(snapshot: Snapshot, view: View, width: int) -> list[Line]:
    """Return the facts of the client."""
    key = view.focus.client
    found = (row for row in snapshot.connections.rows if (row["pid"], row["id"]) == key)
    row = next(found, None)
    if row is None and key is not None and key.pid in [pid for _, pid in snapshot.connections.unanswered]:
        return [line((f"the worker of this client (pid {key.pid}) did not answer in time", WARN))]
    if row is None:
        return [line(("this client is gone", "dim"))]
    return fact_lines(_sections(row), width)


def _sections(row: ConnectionRow) -> Sequence[Section]:
    queued = amount(row["queued_bytes"])
    client: list[Fact] = [
        ("client", f"{row['peer']}, number {row['id']}"),
        ("service", str(row["service"])),
        ("worker", f"slot {row['slot']}, pid {row['pid']}"),
        ("state", str(row["state"])),
        ("open", duration(row["age_seconds"])),
        ("idle", duration(row["idle_seconds"])),
    ]
    traffic: list[Fact] = [
        ("in", _flow(row["in_per_second"], row["bytes_in"])),
        ("out", _flow(row["out_per_second"], row["bytes_out"])),
        ("queued", (queued, WARN) if row["queued_bytes"] else queued),
    ]
    facts = row["tls"]
    names = (("version", "tls"), ("cipher", "cipher"), ("server_name", "server name"), ("subject", "certificate"))
    tls: list[Fact] = [(name, facts[field]) for field, name in names if facts and facts[field]]
    return [Section("CLIENT", client), Section("TRAFFIC", traffic), Section("TLS", tls)]


def _flow(per_second: float | None, total: int) -> str:
    return f"{amount(per_second)}/s, {amount(total)} in all" if per_second is not None else f"{amount(total)} in all"


PARTS = text_page(client_page, bindings=(DISCONNECT,))
