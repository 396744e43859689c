"""The text of docs/benchmarks.md: `page.md` with tables of the stored runs.

Nothing here reads a clock, a machine or an image: the same runs give the same text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from goals import GOALS, Goal, Verdict
from panels import drawable
from results import PEERS
from summaries import FigureSummary, GoalValue, RunSummary, Values, ordered
from tables import number

_MARKDOWN = re.compile(r"[\\`*_<>\[\]|#]")
_NUMERIC = re.compile(r"-|[≤≥ ]*[\d.,]+[\d.,%-]*( KiB| \\\*)?")
_STAR = " \\*"


class Column(NamedTuple):
    """One column of the table of measurements."""

    head: str
    figure: str
    case: Mapping[str, Any]
    to_c: bool = False


_SMALL = {"bytes": 64, "mode": "closed"}
COLUMNS = (
    Column("µs CPU, 64 B", "cpu_per_message", _SMALL),
    Column("/ c", "cpu_per_message", _SMALL, to_c=True),
    Column("64 B echoes/s", "messages", _SMALL),
    Column("µs CPU, pipelined", "cpu_per_message", {"bytes": 64, "mode": "pipelined"}),
    Column("µs CPU, 16 KiB", "cpu_per_message", {"bytes": 16384, "mode": "closed"}),
    Column("MiB/s, 1 MiB", "bytes", {"bytes": 1048576}),
    Column("µs CPU, connection", "cpu_per_connection", {}),
    Column("p50, µs", "latency", {"quantile": 0.5}),
    Column("p99, µs", "latency", {"quantile": 0.99}),
    Column("KiB, idle", "pss_per_idle", {"idle": 10000}),
)

# Measurements that few peers take part in.
ROWS: tuple[tuple[str, str, Mapping[str, Any]], ...] = (
    ("start until 4 workers are ready, s", "start_to_ready", {"start": "foreground"}),
    ("the same with `-d`, s", "start_to_ready", {"start": "daemon"}),
    ("reload of 4 workers, s", "reload", {}),
    ("`--help`, s", "help", {}),
    ("µs CPU per message, statistics on", "statistics", {"statistics": "on"}),
    ("µs CPU per message, statistics off", "statistics", {"statistics": "off"}),
    ("µs CPU per message beside 10 idle clients", "cpu_beside_idle", {"idle": 10}),
    ("µs CPU per message beside 10,000 idle clients", "cpu_beside_idle", {"idle": 10000}),
)


def page(template: str, runs: Sequence[RunSummary]) -> str:
    """Return the page with these runs, the newest last."""
    parts = {
        "runs": runs_table(runs),
        "goals": goals_table(runs),
        "pictures": pictures(runs),
        "peers": peers_table(runs),
        "measurements": "\n\n".join(measurements(run) for run in reversed(runs)),
        "others": others_table(runs),
        "not measured": not_measured(runs),
    }
    for name, text in parts.items():
        template = template.replace(f"<!-- {name} -->", text)
    return template


def runs_table(runs: Sequence[RunSummary]) -> str:
    """Return what was measured, when and where."""
    programs = dict.fromkeys(name for run in runs for name in run.versions)
    facts = {
        "revision": [plain(run.revision or "unknown") for run in runs],
        "command": [f"`{run.command}`" for run in runs],
        "processor": [f"{plain(run.machine['processor'])}, {run.machine['processors']} usable" for run in runs],
        "pinning": [
            f"servers on {_numbers(run.machine['server_on'])}, load on {_numbers(run.machine['load_on'])}"
            for run in runs
        ],
        "kernel": [f"{run.machine['system']} {run.machine['kernel']}" for run in runs],
        **{name: [plain(run.versions.get(name) or "not installed") for run in runs] for name in programs},
        "settings": [", ".join(_settings(run)) for run in runs],
        "ended": [_moment(run.ended) for run in runs],
    }
    return table([["", *(_moment(run.began) for run in runs)], *([name, *values] for name, values in facts.items())])


def goals_table(runs: Sequence[RunSummary]) -> str:
    """Return each goal, the value of each run, and whether all of them met it."""
    made = [["", "goal", *(_head(run) for run in runs), ""]]
    for goal in GOALS:
        values = [run.goals.get(goal.text, GoalValue(None)) for run in runs]
        cells = ["-" if each.value is None else f"{each.value:.2f}{_STAR * each.bound_by_load}" for each in values]
        made.append([goal.text, goal.bound, *cells, _met(goal, values)])
    starred = any(_STAR in cell for row in made for cell in row)
    remark = "\n\n\\* The load set the pace of one of the two: that server could have done more." if starred else ""
    return table(made) + remark


def pictures(runs: Sequence[RunSummary]) -> str:
    """Return the pictures that have measurements."""
    return "\n\n".join(f"![{each.title}](images/{each.file})" for each, _ in drawable(runs))


def peers_table(runs: Sequence[RunSummary]) -> str:
    """Return what the names in tables and pictures stand for."""
    names = ordered([name for run in runs for figure in run.figures for name in figure.peers])
    return table([["name", "server"], *([f"`{name}`", plain(PEERS.get(name, name))] for name in names)])


def measurements(run: RunSummary) -> str:
    """Return the medians of a run: one row per peer, one column per figure."""
    found = [(column, run.figure(column.figure, **column.case)) for column in COLUMNS]
    shown = [(column, figure) for column, figure in found if figure]
    peers = ordered([name for _, figure in shown for name in figure.peers])
    body = [[_name(name), *(_cell(figure, name, column) for column, figure in shown)] for name in peers]
    parts = [f"**{run.label}**", table([["", *(column.head for column, _ in shown)], *body])]
    if any(_STAR in cell for row in body for cell in row):
        parts.append("\\* Bound by the load, which had no time left while the server had.")
    disturbed = ordered([name for _, figure in shown for name in figure.disturbed])
    if disturbed:
        parts.append(f"Another process used a processor during a measurement of {', '.join(map(plain, disturbed))}.")
    return "\n\n".join(parts)


def others_table(runs: Sequence[RunSummary]) -> str:
    """Return the measurements that few peers take part in: median and spread of each run."""
    made = [["", "server", *(_moment(run.began) for run in runs)]]
    for caption, figure, case in ROWS:
        found = [run.figure(figure, **case) for run in runs]
        for name in ordered([name for each in found if each for name in each.peers]):
            cells = [_with_spread(each.peers.get(name) if each else None) for each in found]
            made.append([caption, _name(name), *cells])
    return table(made)


def not_measured(runs: Sequence[RunSummary]) -> str:
    """Return what was left out of which run, and why."""
    notes: dict[tuple[str, str], list[RunSummary]] = {}
    for run in runs:
        for note in run.not_measured:
            notes.setdefault((note["what"], note["why"]), []).append(run)
    if not notes:
        return "Nothing was left out."
    made = [
        [plain(what), plain(why), "<br>".join(_moment(run.began) for run in of)] for (what, why), of in notes.items()
    ]
    return table([["what", "why", "in the run of"], *made])


def table(cells: Sequence[Sequence[str]]) -> str:
    """Return a table; columns of numbers are aligned to the right."""
    head, *body = cells
    columns = list(zip(*body, strict=True)) if body else [()] * len(head)
    rule = ["--:" if column and all(map(_NUMERIC.fullmatch, column)) else "---" for column in columns]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *body))


def plain(words: str) -> str:
    """Return words in one line, escaped so that Markdown shows them unchanged."""
    return _MARKDOWN.sub(r"\\\g<0>", " ".join(words.split()))


def _cell(figure: FigureSummary, name: str, column: Column) -> str:
    values = figure.peers.get(name)
    if values is None:
        return "-"
    if column.to_c:
        return "1.00" if name == "c" else "-" if values.to_c is None else f"{values.to_c:.2f}"
    # Processor time per message does not depend on which side sets the pace.
    star = _STAR if name in figure.bound_by_load and figure.unit in ("1/s", "MiB/s") else ""
    return number(values.median) + star


def _with_spread(values: Values | None) -> str:
    return "-" if values is None else f"{number(values.median)} ({number(values.low)}-{number(values.high)})"


def _name(name: str) -> str:
    return f"**{name}**" if name == "reactorhost" else plain(name)


def _met(goal: Goal, values: Sequence[GoalValue]) -> str:
    met = [Verdict(goal, each.value).met for each in values if each.value is not None]
    if not met:
        return "not measured"
    if all(met):
        return "met"
    return f"met in {sum(map(bool, met))} of {len(met)}" if any(met) else "not met"


def _head(run: RunSummary) -> str:
    return f"{_moment(run.began)}<br>{run.revision or 'unknown'}"


def _moment(time: str) -> str:
    return f"{time[:16].replace('T', ' ')} UTC"


def _numbers(values: Sequence[int]) -> str:
    return ", ".join(map(str, values))


def _settings(run: RunSummary) -> Iterator[str]:
    for key, value in run.settings.items():
        words = "/".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
        yield f"{key.replace('_', ' ')} {words}"
