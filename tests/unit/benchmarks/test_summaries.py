from __future__ import annotations

from pathlib import Path

import pytest

from results import Figure, Run, write
from summaries import GoalValue, Values, add, read_all, read_summary, summary, write_summary

CLOSED = {"bytes": 64, "mode": "closed"}


def run(*figures: Figure, began: str = "2026-01-31T12:00:00Z") -> Run:
    return Run(began, began, "nox -s bench", None, {"processors": 2}, {}, {}, {}, list(figures), [])


def costs() -> Figure:
    rounds: dict[str, list[float | None]] = {"c": [5.0, 50.0, 6.0], "reactorhost": [10.0, 100.0, 6.12345], "php": []}
    return Figure("cpu_per_message", "us", CLOSED, "lower", rounds)


def test_a_summary_keeps_median_spread_and_the_ratio_of_the_rounds() -> None:
    found = summary(run(costs())).figure("cpu_per_message", bytes=64)
    assert found is not None
    assert found.peers == {"c": Values(6.0, 5.0, 50.0, None), "reactorhost": Values(10.0, 6.123, 100.0, 2.0)}


def test_a_summary_keeps_the_value_of_each_goal() -> None:
    goals = summary(run(costs())).goals
    assert goals["server CPU per 64-byte echo, against C"] == GoalValue(2.0)
    assert goals["memory per idle connection, 10,000"] == GoalValue(None)


def test_a_figure_that_the_page_does_not_show_is_not_stored() -> None:
    other = Figure("load_lateness", "us", {"quantile": 0.99}, "lower", {"c": [1.0]})
    assert summary(run(other)).figures == []


def test_a_stored_run_reads_back(tmp_path: Path) -> None:
    made = summary(run(costs()))
    write_summary(made, tmp_path / "run.json")
    assert read_summary(tmp_path / "run.json") == made


def test_adding_a_run_converts_it_and_keeps_the_newest_two(tmp_path: Path) -> None:
    folder = tmp_path / "stored"
    for day in (3, 1, 2):
        full = run(costs(), began=f"2026-02-0{day}T12:00:00Z")
        write(full, tmp_path / "suite.json")
        add(tmp_path / "suite.json", folder)
    assert [path.name for path in sorted(folder.iterdir())] == ["2026-02-02-1200.json", "2026-02-03-1200.json"]
    assert [stored.began for stored in read_all(folder)] == ["2026-02-02T12:00:00Z", "2026-02-03T12:00:00Z"]


def test_a_full_run_is_not_taken_for_a_stored_one(tmp_path: Path) -> None:
    write(run(costs()), tmp_path / "suite.json")
    with pytest.raises(ValueError, match="not a stored run of schema 3"):
        read_summary(tmp_path / "suite.json")
