"""The page of the benchmarks is what its program makes of the stored runs, whatever a run has and lacks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from page_text import figures, goals_table, not_measured, page, plain, runs_table, table
from panels import PICTURES, drawable
from results import Figure, Rounds, Run, read_all

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
TEMPLATE = (ROOT / "tests" / "benchmarks" / "page.md").read_text(encoding="utf-8")
CLOSED = {"bytes": 64, "mode": "closed"}


def run(*found: Figure, began: str = "2026-01-31T12:00:00Z") -> Run:
    machine = {
        "processor": "made up", "processors": 2, "kernel": "6.1", "system": "Linux", "server_on": [0], "load_on": [1]
    }  # fmt: skip
    settings = {"rounds": 2, "seconds": 1.0}
    peers = {"c": "C epoll loop", "reactorhost": "reactorhost"}
    return Run(began, began, "nox -s bench", "abc1234", machine, {"php": None}, settings, peers, list(found), [])


def echoes(c: float = 5.0, ours: float = 6.0) -> Figure:
    return Figure("cpu_per_message", "us", CLOSED, "lower", {"c": [c, c], "reactorhost": [ours, ours]})


def rows(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines() if line[:1] == "|"]


def test_the_page_is_made_of_the_stored_runs_and_of_nothing_else() -> None:
    stored = read_all(DOCS / "benchmarks")
    place = DOCS / "benchmarks.md"
    made = page(TEMPLATE, stored) if stored else None
    assert (place.read_text(encoding="utf-8") if place.exists() else None) == made, "make it by: nox -s benchpage"


def test_the_images_are_those_of_the_stored_runs() -> None:
    there = {path.name: path.read_text(encoding="utf-8") for path in (DOCS / "images").glob("bench-*.svg")}
    wanted = {picture.file: having for picture, having in drawable(read_all(DOCS / "benchmarks"))}
    assert there.keys() == wanted.keys()
    for file, having in wanted.items():
        assert all(each.label in there[file] for each in having), f"{file} is of other runs: nox -s benchpage"


def test_every_place_of_the_template_is_filled() -> None:
    text = page(TEMPLATE, [run(echoes())])
    assert text.count("<!--") == 1, "the one that says who makes the page"
    assert "](images/bench-cpu-closed.svg)" in text
    assert "bench-latency.svg" not in text, "nobody draws what was not measured"


def test_each_table_of_a_run_is_headed_by_its_date_and_revision() -> None:
    old, new = run(echoes()), run(echoes(), began="2026-02-01T13:30:00Z")
    for each in (old, new):
        lines = figures(each).splitlines()
        tops = [index for index, line in enumerate(lines) if line.startswith("|  |")]
        assert tops
        assert all(lines[index - 2].endswith(f"({each.label})") for index in tops)
    assert rows(goals_table([old, new]))[0][2:4] == [
        "2026-01-31 12:00 UTC<br>abc1234",
        "2026-02-01 13:30 UTC<br>abc1234",
    ]


@pytest.mark.parametrize(
    ("costs", "words"),
    [([5.5], "met"), ([5.5, 5.9], "met"), ([5.5, 9.0], "met in 1 of 2"), ([9.0, 9.0], "not met"), ([], "not measured")],
)
def test_a_goal_is_met_when_every_run_met_it(costs: list[float], words: str) -> None:
    runs = [run(echoes(ours=cost)) for cost in costs] or [run()]
    goal = rows(goals_table(runs))[2]
    assert goal[-1] == words
    assert goal[2:-1] == [f"{cost / 5:.2f}" for cost in costs] or goal[2:-1] == ["-"]


def test_a_goal_that_the_load_could_not_judge_bears_a_mark() -> None:
    rates: Rounds = {"uvloop-protocol": [100.0], "reactorhost": [100.0]}
    busy: Rounds = {"uvloop-protocol": [0.99], "reactorhost": [0.5]}
    idle: Rounds = {"uvloop-protocol": [0.5], "reactorhost": [0.99]}
    bound = run(Figure("messages", "1/s", CLOSED, "higher", rates, busy, idle))
    text = goals_table([bound])
    assert rows(text)[3][2] == r"1.00 \*"
    assert "The load was what set the pace" in text
    assert r"uvloop-protocol \*" in figures(bound)
    costs = replace(bound.figures[0], name="cpu_per_message", unit="us")
    assert "*" not in goals_table([run(costs)]), "processor time does not depend on the pace"


def test_a_peer_that_died_and_one_that_never_ran_leave_the_rest_standing() -> None:
    figure = Figure(
        "connections", "1/s", {}, "higher", {"c": [2.0, None], "twisted": [None], "reactorhost": [1.0, 1.0]}
    )
    text = figures(run(figure, Figure("reload", "s", {}, "lower", {"reactorhost": []})))
    assert [row[0] for row in rows(text)[2:]] == ["c", "**reactorhost**"]
    assert "left out from then on: c, twisted" in text
    assert "eload" not in text


def test_a_picture_shows_the_newest_run_that_has_its_figures() -> None:
    old, new = run(echoes()), run(began="2026-02-01T13:30:00Z")
    ((picture, having),) = drawable([old, new])
    assert picture.file == "bench-cpu-closed.svg"
    assert [panel.caption for panel in picture.panels] == ["64 B"]
    assert having == [old]
    assert len({each.file for each in PICTURES}) == len(PICTURES)


def test_what_a_run_says_cannot_break_a_table() -> None:
    noted = replace(run(), not_measured=[{"what": "a|b", "why": "<Error>\nat *x*"}])
    assert not_measured([noted, run()]).splitlines()[2] == r"| a\|b | \<Error\> at \*x\* | 2026-01-31 12:00 UTC |"
    assert plain("[x](y) `z` _u_") == r"\[x\](y) \`z\` \_u\_"
    assert "not there" in runs_table([noted])


def test_figures_stand_to_the_right_and_words_to_the_left() -> None:
    made = table([["", "us", "spread", "goal", "busy", "word", "day"], *FIGURES_AND_WORDS])
    assert made.splitlines()[1] == "| --- | --: | --: | --: | --: | --- | --- |"


FIGURES_AND_WORDS = (
    ("c", "1,234", "1.5-2.5", "≤ 1.30 KiB", "97%", "met", "2026-01-31 12:00 UTC"),
    ("d", "-", "-", "≥ 1.00", r"1.00 \*", "not met", "2026-01-31 12:00 UTC<br>2026-02-01 13:30 UTC"),
)
