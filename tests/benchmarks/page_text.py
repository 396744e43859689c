"""The text of docs/benchmarks.md: `page.md` with tables of the stored runs in it.

Nothing here reads a clock, a machine or an image: the same runs make the same text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from goals import GOALS, Goal, Verdict, verdicts
from panels import drawable
from results import PEERS, Figure, Run
from tables import TITLES, remarks, rows, title

_MEANS_SOMETHING = re.compile(r"[\\`*_<>\[\]|#]")
_FIGURE = re.compile(r"-|[≤≥ ]*[\d.,]+[\d.,%-]*( KiB| \\\*)?")
_STAR = " \\*"


def page(template: str, runs: Sequence[Run]) -> str:
    """Return the page with these runs, the newest last."""
    parts = {
        "runs": runs_table(runs),
        "goals": goals_table(runs),
        "pictures": pictures(runs),
        "peers": peers_table(runs),
        "not measured": not_measured(runs),
        "figures": "\n\n".join(figures(run) for run in runs),
    }
    for name, text in parts.items():
        template = template.replace(f"<!-- {name} -->", text)
    return template


def runs_table(runs: Sequence[Run]) -> str:
    """Return what was measured when and where."""
    facts = {
        "revision": [plain(run.revision or "unknown") for run in runs],
        "command": [f"`{run.command}`" for run in runs],
        "processor": [
            f"{plain(run.machine['processor'])}, {run.machine['processors']} usable; "
            f"servers on {_numbers(run.machine['server_on'])}, load on {_numbers(run.machine['load_on'])}"
            for run in runs
        ],
        "kernel": [f"{run.machine['system']} {run.machine['kernel']}" for run in runs],
        **{name: [plain(run.versions.get(name) or "not there") for run in runs] for name in _programs(runs)},
        "settings": [", ".join(_settings(run)) for run in runs],
        "ended": [_moment(run.ended) for run in runs],
    }
    return table([["", *(_moment(run.began) for run in runs)], *([name, *values] for name, values in facts.items())])


def goals_table(runs: Sequence[Run]) -> str:
    """Return each goal, what each run came to, and whether all of them met it."""
    found = [verdicts(run) for run in runs]
    made = [["", "goal", *(_head(run) for run in runs), ""]]
    marked = False
    for index, goal in enumerate(GOALS):
        of_goal = [each[index] for each in found]
        values = [_value(run, verdict) for run, verdict in zip(runs, of_goal, strict=True)]
        marked = marked or any("*" in value for value in values)
        made.append([goal.text, goal.bound, *values, _all(of_goal)])
    remark = (
        "\n\n\\* The load was what set the pace of one of the two: the server could have done more." if marked else ""
    )
    return table(made) + remark


def pictures(runs: Sequence[Run]) -> str:
    """Return the images that there are."""
    return "\n\n".join(f"![{each.title}](images/{each.file})" for each, _ in drawable(runs))


def peers_table(runs: Sequence[Run]) -> str:
    """Return the names in tables and pictures, and what they stand for."""
    captions = {name: caption for run in runs for name, caption in run.peers.items()}
    names = [*(name for name in PEERS if name in captions), *(name for name in captions if name not in PEERS)]
    return table([["name", "what it is"], *([f"`{name}`", plain(captions[name])] for name in names)])


def not_measured(runs: Sequence[Run]) -> str:
    """Return what was left out in which run, and why."""
    notes: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        for note in run.not_measured:
            notes.setdefault((note["what"], note["why"]), []).append(run)
    if not notes:
        return "Nothing was left out."
    made = [
        [plain(what), plain(why), "<br>".join(_moment(run.began) for run in of)] for (what, why), of in notes.items()
    ]
    return table([["what", "why", "in the run of"], *made])


def figures(run: Run) -> str:
    """Return all tables of a run, those of one name folded together."""
    parts = [f"## All figures of {_moment(run.began)}, revision {run.revision or 'unknown'}"]
    for name in dict.fromkeys(figure.name for figure in run.figures):
        tables = [_figure(run, figure) for figure in run.named(name) if figure.peers]
        if tables:
            words = _sentence(TITLES.get(name, name))
            parts += [f"<details>\n<summary>{words} ({run.label})</summary>", *tables, "</details>"]
    return "\n\n".join(parts)


def table(cells: Sequence[Sequence[str]]) -> str:
    """Return a table, the first column to the left, the others to the right where they hold figures."""
    head, *body = cells
    columns = list(zip(*body, strict=True)) if body else [()] * len(head)
    rule = ["--:" if column and all(map(_FIGURE.fullmatch, column)) else "---" for column in columns]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *body))


def plain(words: str) -> str:
    """Return words that Markdown shows as they are, in one line."""
    return _MEANS_SOMETHING.sub(r"\\\g<0>", " ".join(words.split()))


def _figure(run: Run, figure: Figure) -> str:
    (_, unit, *head), *body = rows(figure)
    marked = [["", "µs" if unit == "us" else unit, *head], *([_name(row[0]), *row[1:]] for row in body)]
    said = "".join(f"\n\n{plain(line)}" for line in remarks(figure))
    return f"**{_sentence(title(figure))}** ({run.label})\n\n{table(marked)}{said}"


def _name(cell: str) -> str:
    """Return a peer's name, with its mark set apart from Markdown's own."""
    name, star, _ = cell.partition(" *")
    return f"{'**reactorhost**' if name == 'reactorhost' else plain(name)}{_STAR if star else ''}"


def _value(run: Run, verdict: Verdict) -> str:
    if verdict.value is None:
        return "-"
    return f"{verdict.value:.2f}{_STAR if _bound_by_load(run, verdict.goal) else ''}"


def _bound_by_load(run: Run, goal: Goal) -> bool:
    spots = [spot for spot in (goal.value, goal.to) if spot]
    found = [(spot, run.figure(spot.figure, **spot.case)) for spot in spots]
    # Processor time is what it is, whoever sets the pace.
    return any(
        figure.unit in ("1/s", "MiB/s") and spot.peer in figure.bound_by_load for spot, figure in found if figure
    )


def _all(found: Sequence[Verdict]) -> str:
    met = [verdict.met for verdict in found if verdict.met is not None]
    if not met:
        return "not measured"
    if all(met):
        return "met"
    return f"met in {sum(met)} of {len(met)}" if any(met) else "not met"


def _programs(runs: Sequence[Run]) -> Iterator[str]:
    yield from dict.fromkeys(name for run in runs for name in run.versions)


def _head(run: Run) -> str:
    return f"{_moment(run.began)}<br>{run.revision or 'unknown'}"


def _moment(time: str) -> str:
    return f"{time[:16].replace('T', ' ')} UTC"


def _numbers(values: Sequence[int]) -> str:
    return ", ".join(map(str, values))


def _settings(run: Run) -> Iterator[str]:
    for key, value in run.settings.items():
        words = "/".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
        yield f"{key.replace('_', ' ')} {words}"


def _sentence(words: str) -> str:
    # What begins with a dash is the name of an option.
    return words[:1].upper() + words[1:]
