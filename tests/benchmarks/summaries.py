"""A stored run: what the benchmark page needs from one run of the suite, as a few kilobytes of JSON.

A full run has every round of every case. The page shows medians, spreads, ratios to the C loop and goals, so these are
computed once, when a run is stored, and the rounds are dropped. Values keep four significant digits.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from goals import Goal, verdicts
from results import PEERS, Figure, Run, read, run_label

SCHEMA = 3
KEPT_RUNS = 2

_CLOSED = {"mode": "closed"}
KEPT: tuple[tuple[str, Mapping[str, Any]], ...] = (
    ("cpu_per_message", {"bytes": 64, **_CLOSED}),
    ("cpu_per_message", {"bytes": 1024, **_CLOSED}),
    ("cpu_per_message", {"bytes": 16384, **_CLOSED}),
    ("cpu_per_message", {"bytes": 64, "mode": "pipelined"}),
    ("messages", {"bytes": 64, **_CLOSED}),
    ("bytes", {"bytes": 1048576}),
    ("cpu_per_connection", {}),
    ("connections", {}),
    ("latency", {"quantile": 0.5}),
    ("latency", {"quantile": 0.99}),
    ("latency", {"quantile": 0.999}),
    ("pss_per_idle", {"idle": 1000}),
    ("pss_per_idle", {"idle": 10000}),
    ("cpu_beside_idle", {"idle": 10}),
    ("cpu_beside_idle", {"idle": 10000}),
    ("statistics", {"statistics": "on"}),
    ("statistics", {"statistics": "off"}),
    ("start_to_ready", {"workers": 4, "start": "foreground"}),
    ("start_to_ready", {"workers": 4, "start": "daemon"}),
    ("reload", {"workers": 4}),
    ("help", {}),
)


class Values(NamedTuple):
    """The rounds of one peer in one figure; `to_c` is the median of the per-round ratios to the C loop."""

    median: float
    low: float
    high: float
    to_c: float | None


@dataclass(frozen=True, slots=True)
class FigureSummary:
    """One figure in one case, by peer."""

    name: str
    unit: str
    case: dict[str, Any]
    peers: dict[str, Values]
    bound_by_load: list[str] = field(default_factory=list)
    disturbed: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class GoalValue:
    """The value that a run reached for a goal, None where it was not measured."""

    value: float | None
    bound_by_load: bool = False


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One stored run. The fields are those of `Run`, except for `goals` (by the goal's text) and `figures`."""

    began: str
    ended: str
    command: str
    revision: str | None
    machine: dict[str, Any]
    versions: dict[str, str | None]
    settings: dict[str, Any]
    goals: dict[str, GoalValue]
    figures: list[FigureSummary]
    not_measured: list[dict[str, str]]

    @property
    def label(self) -> str:
        """Start time and revision, for a heading."""
        return run_label(self.began, self.revision)

    def figure(self, name: str, **case: Any) -> FigureSummary | None:
        """Return the figure of that name whose case has these values, None where the run has no value in it."""
        return next((each for each in self.figures if each.name == name and case.items() <= each.case.items()), None)


def summary(run: Run) -> RunSummary:
    """Reduce a full run to what is stored."""
    found = [run.figure(name, **case) for name, case in KEPT]
    figures = [_figure(figure) for figure in found if figure and figure.peers]
    goals = {
        each.goal.text: GoalValue(None if each.value is None else _rounded(each.value), _is_bound(run, each.goal))
        for each in verdicts(run)
    }
    return RunSummary(
        run.began,
        run.ended,
        run.command,
        run.revision,
        run.machine,
        run.versions,
        run.settings,
        goals,
        figures,
        run.not_measured,
    )


def add(path: Path, folder: Path) -> Path:
    """Store a full run from its JSON, remove all but the newest stored runs, and return the new file."""
    made = summary(read(path))
    folder.mkdir(exist_ok=True)
    target = folder / f"{made.began[:16].replace(':', '').replace('T', '-')}.json"
    write_summary(made, target)
    for old in sorted(folder.glob("*.json"), key=lambda each: read_summary(each).began)[:-KEPT_RUNS]:
        old.unlink()
    return target


def read_all(folder: Path) -> list[RunSummary]:
    """Read the stored runs, the newest last."""
    return sorted(map(read_summary, folder.glob("*.json")), key=lambda run: run.began)


def read_summary(path: Path) -> RunSummary:
    """Read a stored run.

    Raises:
        ValueError: the file has another schema.
    """
    document = json.loads(path.read_text(encoding="utf-8"))
    if document.pop("schema", None) != SCHEMA:
        raise ValueError(f"{path} is not a stored run of schema {SCHEMA}")
    goals = {text: GoalValue(*made) for text, made in document.pop("goals").items()}
    figures = [
        FigureSummary(**{**made, "peers": {name: Values(*values) for name, values in made["peers"].items()}})
        for made in document.pop("figures")
    ]
    return RunSummary(**document, goals=goals, figures=figures)


def write_summary(run: RunSummary, path: Path) -> None:
    """Write a stored run, one figure on each line, so that a diff of two runs is readable."""
    document = {"schema": SCHEMA, **asdict(run)}
    figures = [{key: value for key, value in made.items() if value or key == "case"} for made in document["figures"]]
    document["goals"] = {text: list(made.values()) for text, made in document["goals"].items()}
    document["figures"] = None
    lines = ",\n".join(_dumped(made) for made in figures)
    members = [
        f'"figures":[\n{lines}\n]' if key == "figures" else f'"{key}":{_dumped(value)}'
        for key, value in document.items()
    ]
    path.write_text("{" + ",\n".join(members) + "}\n", encoding="utf-8")


def _figure(figure: Figure) -> FigureSummary:
    peers = {name: _values(figure, name) for name in figure.peers}
    return FigureSummary(figure.name, figure.unit, figure.case, peers, figure.bound_by_load, figure.disturbed)


def _values(figure: Figure, name: str) -> Values:
    values = figure.values(name)
    ratio = figure.ratio(name, "c") if name != "c" else None
    return Values(
        _rounded(statistics.median(values)),
        _rounded(min(values)),
        _rounded(max(values)),
        None if ratio is None else _rounded(ratio),
    )


def _is_bound(run: Run, goal: Goal) -> bool:
    spots = [spot for spot in (goal.value, goal.to) if spot]
    found = [(spot, run.figure(spot.figure, **spot.case)) for spot in spots]
    # Processor time does not depend on which side sets the pace.
    return any(
        figure.unit in ("1/s", "MiB/s") and spot.peer in figure.bound_by_load for spot, figure in found if figure
    )


def ordered(names: Sequence[str]) -> list[str]:
    """Return names of peers in the order of tables and pictures, each once."""
    return [*(name for name in PEERS if name in names), *sorted(set(names) - PEERS.keys())]


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


def _dumped(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
