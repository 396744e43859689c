"""The result of a run of `reload_table.py`, as a JSON document and as Markdown. Nothing here measures."""

from __future__ import annotations

import json
import re
import statistics
import textwrap
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

SCHEMA = 1
STORED = "docs/explanation/comparison.json"
PAGES = ("README.md", "docs/index.md", "docs/explanation/comparison.md")
CAPTIONS = {
    "reactorhost": "reactorhost",
    "uvicorn": "uvicorn `--workers`",
    "granian": "granian",
    "gunicorn-gthread": "gunicorn, `gthread`",
    "gunicorn-reuse-port": "gunicorn, `gthread`, `--reuse-port`",
}


@dataclass(slots=True)
class ServerRun:
    """One server in one run.

    Attributes:
        requests: their number by kind of connection.
        lost: the number of failed requests by kind of connection and of failure.
        reload_seconds: for each reload, the time until no old worker existed.
        spreads: of many connections opened "at once" and "in turn", and of "few", each time.
        failed: why the server was not measured to the end; the rest is not valid then.
    """

    server: str
    requests: dict[str, int] = field(default_factory=dict)
    lost: dict[str, dict[str, int]] = field(default_factory=dict)
    reload_seconds: list[float] = field(default_factory=list)
    spreads: dict[str, list[float]] = field(default_factory=dict)
    failed: str | None = None


@dataclass(frozen=True, slots=True)
class ReloadResult:
    """All servers and runs.

    Attributes:
        began: time in UTC, in the form of ISO 8601.
        settings: numbers of workers, reloads, runs, and of many and few connections.
    """

    began: str
    revision: str | None
    machine: dict[str, Any]
    versions: dict[str, str | None]
    settings: dict[str, int]
    runs: list[ServerRun]

    def of_server(self, name: str) -> list[ServerRun]:
        """Return the runs of one server."""
        return [run for run in self.runs if run.server == name]


def read(path: Path) -> ReloadResult:
    """Read a stored result.

    Raises:
        ValueError: the file has another schema.
    """
    document = json.loads(path.read_text(encoding="utf-8"))
    if document.pop("schema") != SCHEMA:
        raise ValueError(f"{path} is not a reload table of schema {SCHEMA}")
    return ReloadResult(**{**document, "runs": [ServerRun(**run) for run in document["runs"]]})


def write(result: ReloadResult, path: Path) -> None:
    """Store a result, with one line for each run of a server."""
    document = {"schema": SCHEMA, **asdict(result)}
    runs = ",\n".join(json.dumps(run) for run in document.pop("runs"))
    head = json.dumps(document, indent=1, ensure_ascii=False).removesuffix("\n}")
    path.write_text(f'{head},\n "runs": [\n{runs}\n]\n}}\n', encoding="utf-8")


def table(result: ReloadResult) -> str:
    """Return the table and its legend: losses are sums of all runs, spreads are medians."""
    workers, many, few = (result.settings[name] for name in ("workers", "many", "few"))
    heads = ["requests lost, new connections", "lost, persistent"]
    heads += [f"busiest of {workers} workers, {many} connections at once", f"{few} in turn"]
    lines = [
        f"| | {' | '.join(heads)} |",
        "|---|--:|--:|--:|--:|",
    ]
    for name, caption in CAPTIONS.items():
        runs = result.of_server(name)
        failed = next((run.failed for run in runs if run.failed), None)
        if failed or not runs:
            lines.append(f"| {caption} | not measured: {failed or 'left out'} | | | |")
            continue
        lost = [f"{sum(sum(run.lost[kind].values()) for run in runs):,}" for kind in ("new", "persistent")]
        spreads = [f"{statistics.median(_spreads(runs, case)):.1f} ×" for case in ("at once", "few")]
        row = [caption, *lost, *spreads]
        lines.append(f"| {' | '.join([f'**{cell}**' for cell in row] if name == 'reactorhost' else row)} |")
    reloads = result.settings["reloads"] * result.settings["runs"]
    legend = (
        f"Lost: in {reloads} reloads of each server under load. Busiest: the connections of the worker that has most, "
        "divided by the mean; 1 is even. With few connections chance decides."
    )
    return "\n".join([*lines, "", textwrap.fill(legend, 120)])


def details(result: ReloadResult) -> str:
    """Return the table, the range of each figure, and the environment."""
    many, few = result.settings["many"], result.settings["few"]
    heads = ["lost in each run", "of these", f"{many} at once", f"{many} in turn", f"{few} in turn"]
    heads += ["old workers gone after", "requests per reload"]
    ranges = [f"| | {' | '.join(heads)} |", "|---|--:|---|--:|--:|--:|--:|--:|"]
    for name, caption in CAPTIONS.items():
        runs = [run for run in result.of_server(name) if not run.failed]
        if not runs:
            continue
        lost = ", ".join(str(sum(sum(found.values()) for found in run.lost.values())) for run in runs)
        kinds = sum((Counter(found) for run in runs for found in run.lost.values()), Counter())
        named = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common()) or "-"
        spreads = [_range(_spreads(runs, case)) for case in ("at once", "in turn", "few")]
        took = statistics.median(seconds for run in runs for seconds in run.reload_seconds)
        requests = sum(sum(run.requests.values()) for run in runs) / sum(len(run.reload_seconds) for run in runs)
        cells = [caption, lost, named, *spreads, f"{took:.1f} s", f"{requests:,.0f}"]
        ranges.append(f"| {' | '.join(cells)} |")
    return "\n".join([table(result), "", *ranges, "", environment(result)])


def _spreads(runs: list[ServerRun], case: str) -> list[float]:
    return [spread for run in runs for spread in run.spreads[case]]


def _range(values: list[float]) -> str:
    return f"{statistics.median(values):.1f} ({min(values):.1f}-{max(values):.1f})"


def environment(result: ReloadResult) -> str:
    """Return a paragraph with date, machine, versions and settings."""
    versions = ", ".join(
        f"{'CPython' if name == 'python' else name} {version}"
        for name, version in result.versions.items()
        if version and name != "reactorhost"
    )
    machine, settings = result.machine, result.settings
    return (
        f"Measured on {result.began[:10]} at revision {result.revision}: {settings['runs']} runs of "
        f"{settings['reloads']} reloads for each server, {settings['workers']} workers. {versions}. "
        f"{machine['processors']} × {machine['processor']}, {machine['system']} {machine['kernel']}."
    )


_FORMS = {"table": table, "details": details}
_PLACE = re.compile(r"(<!-- reload (\w+): .*? -->\n).*?(\n<!-- end -->)", re.DOTALL)


def with_tables(text: str, result: ReloadResult) -> str:
    """Return a page with each of its places filled, `<!-- reload table: … -->` or `<!-- reload details: … -->`."""
    return _PLACE.sub(lambda place: f"{place[1]}\n{_FORMS[place[2]](result)}\n{place[3]}", text)
