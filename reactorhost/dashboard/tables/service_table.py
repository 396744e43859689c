"""The table of the services, and the details of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from reactorhost.dashboard.text.alarm_limits import errors_style, fill, fill_style
from reactorhost.dashboard.text.grid import Cell, Field, grid
from reactorhost.dashboard.text.line import Line, cut, line
from reactorhost.dashboard.text.quantities import amount, number, rate, span, whole
from reactorhost.dashboard.text.styles import ALARM, WARN
from reactorhost.dashboard.text.wrapping import wrapped
from reactorhost.ipc.status import ChainPluginStatus, ServiceStatus, StatusDocument

_VALUES: Mapping[str, Callable[[ServiceStatus], float | str]] = {
    "service": lambda each: each["name"],
    "clients": lambda each: each["connections"],
    "acc": lambda each: each["rates"]["accepted"],
    "msg": lambda each: each["rates"]["messages"],
    "rx": lambda each: each["rates"]["bytes_in"],
    "tx": lambda each: each["rates"]["bytes_out"],
    "p99": lambda each: each["latency"]["p99_seconds"] or 0.0,
    "errors": lambda each: each["rates"]["hook_errors"],
    "queue": lambda each: each["queue"]["depth"] or 0,
}
"""What the services are sorted by, by the name of the column."""


def service_table(
    services: Sequence[ServiceStatus], document: StatusDocument, width: int, *, sort: str = "", inverted: bool = False
) -> list[Line]:
    """Return the headings and a line for every one of these services of a host."""
    workers: Field[ServiceStatus] = Field("WORKERS", 8, lambda each: _workers(each, document), from_width=40)
    return grid([*FIELDS[:1], workers, *FIELDS[1:]], services, width, sort=sort, inverted=inverted)


def is_short(service: ServiceStatus, document: StatusDocument) -> bool:
    """Return whether fewer workers serve a service than should."""
    return _serving(service, document) < service["workers"]


def _serving(service: ServiceStatus, document: StatusDocument) -> int:
    """Return how many workers serve a service, counted like `workers_ready`."""
    # The first slots serve a service that has fewer workers than the host. While one is replaced, it has two workers.
    ready = (each for each in document["workers"] if each["state"] == "ready" and each["silent_seconds"] is None)
    return len({each["slot"] for each in ready if each["slot"] < service["workers"]})


def sorted_services(services: Sequence[ServiceStatus], sort: str, *, inverted: bool) -> Sequence[ServiceStatus]:
    """Return the services sorted by a column; without one, and equal ones, in the order of the settings."""
    field = next((each for each in FIELDS if sort and each.name == sort), None)
    if field is None:
        return services
    return sorted(services, key=_VALUES[field.name], reverse=field.largest_first is not inverted)


def service_details(service: ServiceStatus, width: int) -> list[Line]:
    """Return what the table has no room for: addresses, chain with shares, totals, the bus."""
    totals, queue = service["totals"], service["queue"]
    counts = [f"{number(totals['accepted'])} accepted", f"{number(totals['refused'])} refused"]
    counts += [f"{number(totals['messages'])} messages", f"in {amount(totals['bytes_in'])}"]
    counts += [f"out {amount(totals['bytes_out'])}", f"{number(totals['hook_errors'])} errors"]
    if service["bus_members"]:
        counts.append(f"{number(service['bus_members'])} in groups")
    if queue["dropped"]:
        counts.append(f"{number(queue['dropped'])} dropped by the kernel")
    rows = [
        ("addresses", ", ".join(service["addresses"])),
        ("chain", _chain(service["plugins"])),
        ("totals", "  ".join(counts)),
    ]
    if service["limited_by"] is not None:
        rows.append(("workers", f"{service['workers']}: plugin {service['limited_by']} allows no more"))
    lines = [cut(line((service["name"], "bold")), width)]
    for heading, text in rows:
        lines += wrapped(line((f"{heading:<11}", "dim"), text), width, indent=11)
    return lines


def _chain(plugins: Sequence[ChainPluginStatus]) -> str:
    """Return the plugins in calling order with their shares of the time: `access-log 12% > echo 88%`."""
    return " > ".join(f"{each['name']}{_share(each['time_share'])}" for each in plugins)


def _share(share: float | None) -> str:
    return "" if share is None else f" {100 * share:.0f}%"


def _workers(service: ServiceStatus, document: StatusDocument) -> Cell:
    wanted, serving = document["workers_wanted"], _serving(service, document)
    if serving < service["workers"]:
        return f"!{serving}/{service['workers']}", WARN if serving else ALARM
    return (f"{service['workers']}/{wanted}", WARN) if service["workers"] < wanted else str(service["workers"])


def _queue(service: ServiceStatus) -> Cell:
    depth, limit = service["queue"]["depth"], service["queue"]["limit"]
    return (number(depth), fill_style(fill(depth, limit))) if depth else whole(depth)


def _errors(service: ServiceStatus) -> Cell:
    errors = service["rates"]["hook_errors"]
    return (rate(errors), errors_style(errors) or "dim")


FIELDS: Sequence[Field[ServiceStatus]] = (
    Field("SERVICE", 14, lambda each: each["name"], left=True, name="service", largest_first=False),
    Field("CLIENTS", 7, lambda each: number(each["connections"]), name="clients", key="C"),
    Field("ACC/s", 5, lambda each: rate(each["rates"]["accepted"]), from_width=110, name="acc"),
    Field("MSG/s", 5, lambda each: rate(each["rates"]["messages"]), name="msg", key="A"),
    Field("RX/s", 5, lambda each: amount(each["rates"]["bytes_in"]), from_width=128, name="rx"),
    Field("TX/s", 5, lambda each: amount(each["rates"]["bytes_out"]), from_width=128, name="tx"),
    Field("P50", 5, lambda each: span(each["latency"]["p50_seconds"]), from_width=110),
    Field("P99", 5, lambda each: span(each["latency"]["p99_seconds"]), from_width=48, name="p99", key="T"),
    Field("ERR/s", 5, _errors, from_width=60, name="errors", key="E"),
    Field("QUEUE", 6, _queue, from_width=80, name="queue"),
    Field("CHAIN", 32, lambda each: _chain(each["plugins"]), left=True, from_width=66),
    Field("ADDRESSES", 30, lambda each: ", ".join(each["addresses"]), left=True, from_width=150),
)
"""The columns, without that of the workers, which depends on those of the host."""
