"""What a run of the suite found: figures by peer and round, their medians, spreads and ratios, as one JSON document.

Nothing here measures or prints. A ratio of two peers is the median of the ratios of each round: rounds alternate
between the peers, so a minute in which the machine was busy falls on both sides of one ratio. A round that a peer did
not live to see is None in its list, so that round i of one always belongs to round i of another.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

SCHEMA = 2
# Above this the load had no time left; below that the server had some: then the load was what set the pace.
LOAD_IS_BUSY = 0.95
SERVER_HAS_TIME = 0.9
# Under a load that never waits one side is always at work, if it has a processor to itself.
NOBODY_IS_BUSY = 0.8

Rounds = dict[str, list[float | None]]

PEERS: Mapping[str, str] = {
    "c": "C epoll loop",
    "uvloop-protocol": "uvloop protocol",
    "uvloop-streams": "uvloop streams",
    "asyncio-protocol": "asyncio protocol",
    "asyncio-protocol-fresh": "asyncio protocol, no client has left it yet",
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
        """Names of the peers whose value is what the load could do, not what the server could."""
        return [name for name in self.peers if self._is_bound(name)]

    @property
    def disturbed(self) -> list[str]:
        """Names of the peers during whose measurement neither side had a processor to itself."""
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
        return load is not None and load > LOAD_IS_BUSY and (server is None or server < SERVER_HAS_TIME)

    def _is_disturbed(self, peer: str) -> bool:
        load, server = median(self.load_busy.get(peer, ())), median(self.server_busy.get(peer, ()))
        return load is not None and server is not None and max(load, server) < NOBODY_IS_BUSY


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the suite.

    Attributes:
        began: time in UTC as `2026-01-31T12:00:00Z`; so is `ended`.
        revision: what git says of the sources, None outside a git tree.
        versions: version by program; None where it is not installed.
        peers: caption by name, in the order of the tables.
        not_measured: `{"what": …, "why": …}` for everything that was left out.
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
        """When it began and what was measured, for a reader."""
        return f"{self.began[:16].replace('T', ' ')} UTC, revision {self.revision or 'unknown'}"

    def figure(self, name: str, **case: Any) -> Figure | None:
        """Return the figure of that name whose case has these values."""
        return next((found for found in self.named(name) if case.items() <= found.case.items()), None)

    def named(self, name: str) -> list[Figure]:
        """Return a figure's cases."""
        return [found for found in self.figures if found.name == name]


def median(values: Sequence[float | None]) -> float | None:
    """Return the median of those that there are."""
    present = [value for value in values if value is not None]
    return statistics.median(present) if present else None


def median_ratio(values: Sequence[float | None], others: Sequence[float | None]) -> float | None:
    """Return the median of the ratios of each round that both saw."""
    # Not strict: who was left out for good after a round has a shorter list.
    pairs = [(one, other) for one, other in zip(values, others, strict=False) if one is not None and other]
    return statistics.median(one / other for one, other in pairs) if pairs else None


def read(path: Path) -> Run:
    """Read a stored run.

    Raises:
        ValueError: it is of another schema.
    """
    document = json.loads(path.read_text())
    if document.pop("schema", None) != SCHEMA:
        raise ValueError(f"{path} is no run of schema {SCHEMA}")
    fields = Figure.__dataclass_fields__
    figures = [Figure(**{key: made[key] for key in made if key in fields}) for made in document.pop("figures")]
    return Run(**document, figures=figures)


def read_all(folder: Path) -> list[Run]:
    """Read the stored runs `run-1.json` and so on, the newest last."""
    return sorted(map(read, folder.glob("run-*.json")), key=lambda run: run.began)


def write(run: Run, path: Path) -> None:
    """Store a run."""
    _write({**asdict(run), "figures": _documents(run.figures)}, path)


def write_figures(figures: Sequence[Figure], path: Path) -> None:
    """Store figures that are no run of the suite."""
    _write({"figures": _documents(figures)}, path)


def _documents(figures: Sequence[Figure]) -> list[dict[str, Any]]:
    return [
        {**asdict(figure), "bound_by_load": figure.bound_by_load, "disturbed": figure.disturbed} for figure in figures
    ]


def _write(document: dict[str, Any], path: Path) -> None:
    path.write_text(json.dumps({"schema": SCHEMA, **document}, indent=1, ensure_ascii=False) + "\n")
