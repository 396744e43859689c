"""Tables of the figures for a terminal, followed by the goals and by what was not measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from goals import Verdict, verdicts
from results import Figure, Run, median

TITLES = {
    "cpu_per_message": "server CPU per message",
    "messages": "messages a second",
    "bytes": "bytes a second, each way",
    "cpu_per_mib": "server CPU per MiB there and back",
    "connections": "connections a second",
    "cpu_per_connection": "server CPU per connection",
    "pss_per_idle": "memory (PSS) per idle connection",
    "latency": "latency",
    "load_lateness": "lateness of the load itself, part of the latency",
    "cpu_beside_idle": "server CPU per 64-byte message beside idle clients",
    "cpu_idle_timeout": "server CPU per 64-byte message, with an idle timeout or without",
    "statistics": "server CPU per 64-byte message, statistics on or off",
    "workers": "messages a second by number of workers",
    "start_to_ready": "start until ready",
    "reload": "reload",
    "help": "--help",
    "turn": "a turn's time per message",
    "bus_deliveries": "bus: deliveries a second of messages to a group",
    "bus_cpu_per_delivery": "bus: CPU of all processes per delivery",
    "bus_local": "bus: server CPU per delivery to members of the same worker",
    "bus_latency": "bus: latency from a client of one worker to a client of another",
    "bus_messages": "bus: messages a second from one worker to another",
    "bus_cpu_per_message": "bus: CPU of all processes per message from one worker to another",
    "bus_unused": "bus: server CPU per 64-byte echo of clients that are in a group, or not",
    "web_cpu_per_request": "web: CPU of all processes per request",
    "web_requests": "web: requests a second",
    "web_latency": "web: latency of a request",
    "web_echo": "WebSocket: CPU of all processes per echo",
    "web_echoes": "WebSocket: echoes a second",
    "web_delivery": "WebSocket: CPU of all processes per delivery of a message to all",
    "web_deliveries": "WebSocket: deliveries a second of messages to all",
    "web_idle": "web: memory (PSS) per idle persistent connection",
    "tls_handshake": "TLS: server CPU per handshake",
    "tls_handshake_rate": "TLS: handshakes",
    "tls_echo": "TLS: server CPU per 64-byte echo",
    "tls_echo_rate": "TLS: 64-byte echoes",
    "tls_bulk": "TLS: server CPU per MB there and back",
    "tls_bulk_rate": "TLS: bytes",
}
YARDSTICKS = ("c", "uvloop-protocol")
# Without a ratio: a client of the C loop costs only a descriptor and a pointer, so the divisor is almost zero.
_NO_RATIO_TO = {"c": ("pss_per_idle", "load_lateness"), "uvloop-protocol": ("load_lateness",)}


def title(figure: Figure) -> str:
    """Return the name of a figure and its case in words."""
    return ", ".join([TITLES.get(figure.name, figure.name), *_case(figure.case)])


def _case(case: Mapping[str, object]) -> Iterator[str]:  # noqa: C901  one arm for each fact
    for key, value in case.items():
        match key, value:
            case "bytes", int():
                yield size(value)
            case "quantile", float():
                yield f"p{value * 100:g}"
            case "load", float():
                yield f"at {value:.0%} of the largest load"
            case "clients", int():
                yield f"{value} answered in it"
            case "workers", int():
                yield f"{value} workers" if value > 1 else "1 worker"
            case "idle_timeout", bool():
                yield "idle timeout" if value else "no idle timeout"
            case "statistics", str():
                yield f"statistics {value}"
            case (("idle" | "members" | "reloads"), int()):
                yield f"{value:,} {key}"
            case "connections", str():
                yield f"{value} connections"
            case _:
                yield str(value)


def size(count: int) -> str:
    """Return a number of bytes in the largest unit that divides it."""
    for unit, factor in (("MiB", 1024 * 1024), ("KiB", 1024)):
        if count >= factor and count % factor == 0:
            return f"{count // factor} {unit}"
    return f"{count} B"


def number(value: float | None) -> str:
    """Return a value with about three significant digits."""
    if value is None:
        return "-"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    if abs(value) < 0.0005:
        return "0.000"
    return f"{value:.1f}" if abs(value) >= 20 else f"{value:.2f}" if abs(value) >= 1 else f"{value:.3f}"


def figure_table(figure: Figure, yardsticks: Sequence[str] = YARDSTICKS) -> str:
    """Return one figure: median, spread, and ratios to the yardsticks."""
    return "\n".join([title(figure), *aligned(rows(figure, yardsticks)), *remarks(figure)])


def rows(figure: Figure, yardsticks: Sequence[str] = YARDSTICKS) -> list[list[str]]:
    """Return the cells of a figure's table, the first row being its head."""
    against = [name for name in yardsticks if name in figure.peers and figure.name not in _NO_RATIO_TO.get(name, ())]
    busy = {"server busy": figure.server_busy, "load busy": figure.load_busy} if figure.load_busy else {}
    made = [["", figure.unit, "min-max", *(f"/ {name}" for name in against), *busy]]
    for name in figure.peers:
        low, high = figure.spread(name) or (None, None)
        mark = " *" if name in figure.bound_by_load else ""
        ratios = [_ratio(figure.ratio(name, other)) for other in against]
        shares = [_share(rounds.get(name, [])) for rounds in busy.values()]
        made.append([name + mark, number(figure.median(name)), f"{number(low)}-{number(high)}", *ratios, *shares])
    return made


def remarks(figure: Figure) -> list[str]:
    """Return the remarks under a figure's table."""
    made = []
    if figure.bound_by_load:
        made.append("* bound by the load, which had no time left while the server had")
    if figure.disturbed:
        names = "all" if figure.disturbed == figure.peers else ", ".join(figure.disturbed)
        made.append(f"another process used a processor: {names}")
    failed = [name for name in figure.rounds if None in figure.rounds[name]]
    if failed:
        made.append(f"failed in a round and was left out afterwards: {', '.join(failed)}")
    return made


def goals_table(found: Sequence[Verdict]) -> str:
    """Return each goal with its value."""
    rows = [["reactorhost, all statistics on", "goal", "value", ""]]
    rows += [[each.goal.text, each.goal.bound, _ratio(each.value), each.word] for each in found]
    return "\n".join(["goals", *aligned(rows)])


def closing(run: Run) -> str:
    """Return the goals and what was not measured, for the end of the output."""
    missing = [f"  {note['what']}: {note['why']}" for note in run.not_measured]
    return "\n\n".join([goals_table(verdicts(run)), *(["\n".join(["not measured", *missing])] if missing else [])])


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows as lines, the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  " + "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows]


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _share(rounds: Sequence[float | None]) -> str:
    middle = median(rounds)
    return "-" if middle is None else f"{middle:.0%}"
