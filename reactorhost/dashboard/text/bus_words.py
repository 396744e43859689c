"""The bus of a host or of a worker in words."""

from __future__ import annotations

from reactorhost.dashboard.text.line import Line, Piece, line
from reactorhost.dashboard.text.quantities import counted, number, rate
from reactorhost.dashboard.text.styles import ALARM, FAULT, WARN
from reactorhost.ipc.status import BackendStatus, BusStatus

_BACKEND_STYLES = {"down": ALARM, "connecting": WARN}


def bus_line(bus: BusStatus) -> Line:
    """Return the figures of the bus on one line."""
    parts = [
        f"bus: {counted(bus['groups'], 'group')}",
        counted(bus["members"], "member"),
        f"in {rate(bus['in_per_second'])}/s",
        f"out {rate(bus['out_per_second'])}/s",
    ]
    shown = line("  ".join(parts))
    if bus["dropped"]:
        shown += line("  ", (f"{number(bus['dropped'])} dropped", FAULT))
    if bus["backend"] is not None:
        shown += line("  ", backend(bus["backend"]))
        if bus["backend"]["reason"]:
            shown += line(f": {bus['backend']['reason']}")
    return shown


def bus_facts(bus: BusStatus) -> list[tuple[str, str]]:
    """Return the figures of the bus as labels and texts."""
    rates = [f"in {rate(bus['in_per_second'])}/s", f"out {rate(bus['out_per_second'])}/s"]
    totals = [f"{bus['messages_in']:,} in", f"{bus['messages_out']:,} out"]
    if bus["dropped"]:
        rates.append(f"dropped {rate(bus['dropped_per_second'])}/s")
        totals.append(f"{bus['dropped']:,} dropped")
    facts = [
        ("bus", f"{counted(bus['groups'], 'group')}, {counted(bus['members'], 'membership')}"),
        ("", ", ".join(rates)),
        ("", f"{', '.join(totals)} in all"),
    ]
    if bus["backend"] is not None:
        reason = f": {bus['backend']['reason']}" if bus["backend"]["reason"] else ""
        facts.append(("backend", f"{bus['backend']['url']} {bus['backend']['state']}{reason}"))
    return facts


def backend(status: BackendStatus) -> Piece:
    """Return the scheme and the state of a backend, `redis up`."""
    return f"{status['url'].partition(':')[0]} {status['state']}", _BACKEND_STYLES.get(status["state"], "")
