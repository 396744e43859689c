"""The benchmark page is what its generator makes of the stored runs, whatever a run has and lacks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from page_text import goals_table, measurements, not_measured, others_table, page, plain, runs_table, table
from panels import PICTURES, drawable
from pictures import draw
from results import Figure, Rounds, Run
from summaries import KEPT_RUNS, RunSummary, read_all, summary

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
TEMPLATE = (ROOT / "tests" / "benchmarks" / "page.md").read_text(encoding="utf-8")
CLOSED = {"bytes": 64, "mode": "closed"}


def full_run(*found: Figure, began: str = "2026-01-31T12:00:00Z") -> Run:
    machine = {
        "processor": "made up", "processors": 2, "kernel": "6.1", "system": "Linux", "server_on": [0], "load_on": [1]
    }  # fmt: skip
    settings = {"rounds": 2, "seconds": 1.0}
    peers = {"c": "C epoll loop", "reactorhost": "reactorhost"}
    return Run(began, began, "nox -s bench", "abc1234", machine, {"php": None}, settings, peers, list(found), [])


def run(*found: Figure, began: str = "2026-01-31T12:00:00Z") -> RunSummary:
    return summary(full_run(*found, began=began))


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
    made = {picture.file: draw(picture, having) for picture, having in drawable(read_all(DOCS / "benchmarks"))}
    assert there == made, "make them by: nox -s benchpage"


def test_the_page_is_short_enough_to_be_read() -> None:
    stored = sorted((DOCS / "benchmarks").glob("*"))
    assert len(stored) <= KEPT_RUNS
    assert all(path.stat().st_size < 16 * 1024 for path in stored)
    text = (DOCS / "benchmarks.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 400
    assert text.count("![") <= 4


def test_every_place_of_the_template_is_filled() -> None:
    text = page(TEMPLATE, [run(echoes())])
    assert text.count("<!--") == 1, "the comment that names the generator"
    assert "](images/bench-cpu.svg)" in text
    assert "bench-latency.svg" not in text, "what was not measured has no picture"


def test_each_table_of_a_run_is_headed_by_its_date_and_revision() -> None:
    old, new = run(echoes()), run(echoes(), began="2026-02-01T13:30:00Z")
    for each in (old, new):
        lines = measurements(each).splitlines()
        tops = [index for index, line in enumerate(lines) if line.startswith("|  |")]
        assert tops
        assert all(lines[index - 2] == f"**{each.label}**" for index in tops)
    assert rows(goals_table([old, new]))[0][2:4] == [
        "2026-01-31 12:00 UTC<br>abc1234",
        "2026-02-01 13:30 UTC<br>abc1234",
    ]


def test_the_medians_of_a_run_stand_beside_their_ratio_to_c() -> None:
    assert rows(measurements(run(echoes())))[2:] == [["c", "5.00", "1.00"], ["**reactorhost**", "6.00", "1.20"]]


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
    figure = Figure("messages", "1/s", CLOSED, "higher", rates, busy, idle)
    bound = run(figure)
    text = goals_table([bound])
    assert rows(text)[3][2] == r"1.00 \*"
    assert "The load set the pace" in text
    assert rows(measurements(bound))[2] == ["uvloop-protocol", r"100 \*"]
    costs = run(replace(figure, name="cpu_per_message", unit="us"))
    assert "*" not in goals_table([costs]), "processor time does not depend on the pace"
    assert r"\*" not in measurements(costs)


def test_a_peer_that_crashed_and_one_that_never_ran_do_not_affect_the_others() -> None:
    figure = Figure(
        "connections", "1/s", {}, "higher", {"c": [2.0, None], "twisted": [None], "reactorhost": [1.0, 1.0]}
    )
    costs = Figure("cpu_per_connection", "us", {}, "lower", {"c": [2.0, 2.0], "threads": [7.0, 7.0]})
    reload = Figure("reload", "s", {"workers": 4}, "lower", {"reactorhost": []})
    found = run(figure, costs, reload)
    assert [row[0] for row in rows(measurements(found))[2:]] == ["c", "threads"]
    assert "reload" not in others_table([found])
    ((picture, having),) = drawable([found])
    assert [name in draw(picture, having) for name in ("threads", "reactorhost", "twisted")] == [True, True, False]


def test_a_picture_shows_the_newest_run_that_has_its_figures() -> None:
    old, new = run(echoes()), run(began="2026-02-01T13:30:00Z")
    ((picture, having),) = drawable([old, new])
    assert picture.file == "bench-cpu.svg"
    assert [panel.caption for panel in picture.panels] == ["64 B"]
    assert having == [old]
    assert len({each.file for each in PICTURES}) == len(PICTURES)


def test_a_picture_names_all_its_runs_and_marks_the_older_medians() -> None:
    old, new = run(echoes(ours=7.0)), run(echoes(), began="2026-02-01T13:30:00Z")
    ((picture, having),) = drawable([old, new])
    text = draw(picture, having)
    assert f"<desc>{old.label}; {new.label}</desc>" in text
    assert text.count('class="older"') == 2
    assert '<text class="ours" ' in text


def test_what_a_run_says_cannot_break_a_table() -> None:
    noted = replace(run(), not_measured=[{"what": "a|b", "why": "<Error>\nat *x*"}])
    assert not_measured([noted, run()]).splitlines()[2] == r"| a\|b | \<Error\> at \*x\* | 2026-01-31 12:00 UTC |"
    assert plain("[x](y) `z` _u_") == r"\[x\](y) \`z\` \_u\_"
    assert "not installed" in runs_table([noted])


def test_measurements_stand_to_the_right_and_words_to_the_left() -> None:
    made = table([["", "us", "spread", "goal", "busy", "word", "day"], *FIGURES_AND_WORDS])
    assert made.splitlines()[1] == "| --- | --: | --: | --: | --: | --- | --- |"


FIGURES_AND_WORDS = (
    ("c", "1,234", "1.5-2.5", "≤ 1.30 KiB", "97%", "met", "2026-01-31 12:00 UTC"),
    ("d", "-", "-", "≥ 1.00", r"1.00 \*", "not met", "2026-01-31 12:00 UTC<br>2026-02-01 13:30 UTC"),
)
