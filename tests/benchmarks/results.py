"""The result of one run of the suite: figures by peer and round, with medians and ratios, as one JSON document.

Nothing here measures or prints. A ratio of two peers is the median of the ratios of each round: rounds alternate
between the peers, so a busy minute of the machine affects both sides of a ratio. A round after the failure of a peer is
None in its list, so that round i of one peer always corresponds to round i of another.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

SCHEMA = 2
# A load busier than the first and a server less busy than the second: the load set the pace.
LOAD_SATURATED = 0.95
SERVER_SATURATED = 0.9
# The load never waits, so one side is always busy unless another process takes the processor.
UNDISTURBED = 0.8

Rounds = dict[str, list[float | None]]

PEERS: Mapping[str, str] = {
    "c": "C epoll loop",
    "uvloop-protocol": "uvloop protocol",
    "uvloop-streams": "uvloop streams",
    "asyncio-protocol": "asyncio protocol",
    "asyncio-protocol-fresh": "asyncio protocol, before its first client has left",
    "asyncio-streams": "asyncio streams",
    "twisted": "Twisted, epoll reactor",
    "gevent": "gevent StreamServer",
    "threads": "socketserver, a thread a client",
    "workerman": "Workerman (PHP)",
    "gunicorn": "gunicorn, sync workers",
    "python": "the interpreter alone",
    "reactorhost": "reactorhost",
    "reactorhost-accesslog": "reactorhost, access log",
    "reactorhost-framing": "reactorhost, length-prefixed messages",
    "reactorhost-async": "reactorhost, async hook",
    "reactorhost-async-uvloop": "reactorhost, async hook on uvloop",
}


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure in one case, for every peer.

    Attributes:
        case: what it was measured at, such as `{"bytes": 64, "mode": "closed"}`.
        better: "lower" or "higher".
        load_busy: share of the time in which the load had something to do, by peer and round; empty without a load.
        server_busy: the same of the server.
        offered: messages a second that an open loop asked for, by peer and round; empty elsewhere.
    """

    name: str
    unit: str
    case: dict[str, Any]
    better: str
    rounds: Rounds = field(default_factory=dict)
    load_busy: Rounds = field(default_factory=dict)
    server_busy: Rounds = field(default_factory=dict)
    offered: Rounds = field(default_factory=dict)

    @property
    def peers(self) -> list[str]:
        """Names of the peers that have a value, in the order of the tables."""
        known = [*PEERS, *(name for name in self.rounds if name not in PEERS)]
        return [name for name in known if self.values(name)]

    @property
    def bound_by_load(self) -> list[str]:
        """Names of the peers whose value was limited by the load and not by the server."""
        return [name for name in self.peers if self._is_bound(name)]

    @property
    def disturbed(self) -> list[str]:
        """Names of the peers during whose measurement another process used a processor."""
        return [name for name in self.peers if self._is_disturbed(name)]

    def values(self, peer: str) -> list[float]:
        """Return the peer's values, without the rounds that it missed."""
        return [value for value in self.rounds.get(peer, ()) if value is not None]

    def median(self, peer: str) -> float | None:
        """Return the median of a peer's rounds."""
        return median(self.rounds.get(peer, ()))

    def spread(self, peer: str) -> tuple[float, float] | None:
        """Return the smallest and the largest value of a peer."""
        values = self.values(peer)
        return (min(values), max(values)) if values else None

    def ratio(self, peer: str, other: str) -> float | None:
        """Return the median of the ratios of each round of one peer to another."""
        return median_ratio(self.rounds.get(peer, ()), self.rounds.get(other, ()))

    def _is_bound(self, peer: str) -> bool:
        load, server = median(self.load_busy.get(peer, ())), median(self.server_busy.get(peer, ()))
        return load is not None and load > LOAD_SATURATED and (server is None or server < SERVER_SATURATED)

    def _is_disturbed(self, peer: str) -> bool:
        load, server = median(self.load_busy.get(peer, ())), median(self.server_busy.get(peer, ()))
        return load is not None and server is not None and max(load, server) < UNDISTURBED


def run_label(began: str, revision: str | None) -> str:
    """Return start time and revision of a run, for a heading."""
    return f"{began[:16].replace('T', ' ')} UTC, revision {revision or 'unknown'}"


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the suite.

    Attributes:
        began: time in UTC as `2026-01-31T12:00:00Z`; so is `ended`.
        revision: abbreviated commit of the sources, None outside a git tree.
        versions: version by program; None where it is not installed.
        peers: caption by name, in the order of the tables.
        not_measured: `{"what": …, "why": …}` for each omission.
    """

    began: str
    ended: str
    command: str
    revision: str | None
    machine: dict[str, Any]
    versions: dict[str, str | None]
    settings: dict[str, Any]
    peers: dict[str, str]
    figures: list[Figure]
    not_measured: list[dict[str, str]]

    @property
    def label(self) -> str:
        """Start time and revision, for a heading."""
        return run_label(self.began, self.revision)

    def figure(self, name: str, **case: Any) -> Figure | None:
        """Return the figure of that name whose case has these values."""
        return next((found for found in self.named(name) if case.items() <= found.case.items()), None)

    def named(self, name: str) -> list[Figure]:
        """Return a figure's cases."""
        return [found for found in self.figures if found.name == name]


def median(values: Sequence[float | None]) -> float | None:
    """Return the median of the values that are not None."""
    present = [value for value in values if value is not None]
    return statistics.median(present) if present else None


def median_ratio(values: Sequence[float | None], others: Sequence[float | None]) -> float | None:
    """Return the median of the ratios of each round that both have."""
    # Not strict: a peer that was dropped after a round has a shorter list.
    pairs = [(one, other) for one, other in zip(values, others, strict=False) if one is not None and other]
    return statistics.median(one / other for one, other in pairs) if pairs else None


def read(path: Path) -> Run:
    """Read a run.

    Raises:
        ValueError: the file has another schema.
    """
    document = json.loads(path.read_text())
    if document.pop("schema", None) != SCHEMA:
        raise ValueError(f"{path} is not a run of schema {SCHEMA}")
    fields = Figure.__dataclass_fields__
    figures = [Figure(**{key: made[key] for key in made if key in fields}) for made in document.pop("figures")]
    return Run(**document, figures=figures)


def write(run: Run, path: Path) -> None:
    """Write a run."""
    _write({**asdict(run), "figures": _documents(run.figures)}, path)


def write_figures(figures: Sequence[Figure], path: Path) -> None:
    """Write figures that do not belong to a run of the suite."""
    _write({"figures": _documents(figures)}, path)


def _documents(figures: Sequence[Figure]) -> list[dict[str, Any]]:
    return [
        {**asdict(figure), "bound_by_load": figure.bound_by_load, "disturbed": figure.disturbed} for figure in figures
    ]


def _write(document: dict[str, Any], path: Path) -> None:
    path.write_text(json.dumps({"schema": SCHEMA, **document}, indent=1, ensure_ascii=False) + "\n")
