from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from goals import verdicts
from results import Figure, Run, read, write

CLOSED = {"bytes": 64, "mode": "closed"}


def figure(name: str, case: dict[str, Any], rounds: dict[str, list[float | None]], **more: Any) -> Figure:
    return Figure(name, "us", case, "lower", rounds, **more)


def run(*figures: Figure) -> Run:
    return Run("2026-01-31T12:00:00Z", "2026-01-31T12:20:00Z", "nox -s bench", None, {}, {}, {}, {}, list(figures), [])


def test_a_ratio_is_the_median_of_the_ratios_of_each_round() -> None:
    # The second round fell into a busy minute on both sides; medians alone would make 10 / 6.
    found = figure("cpu_per_message", CLOSED, {"c": [5, 50, 6], "reactorhost": [10, 100, 6]})
    assert found.ratio("reactorhost", "c") == 2.0


def test_a_round_that_a_peer_missed_counts_on_neither_side() -> None:
    found = figure("cpu_per_message", CLOSED, {"c": [5, None, 5, 5], "reactorhost": [10, 1000, 10]})
    assert found.ratio("reactorhost", "c") == 2.0
    assert found.values("c") == [5, 5, 5]
    assert found.spread("reactorhost") == (10, 1000)


def test_a_peer_without_any_value_is_no_peer_of_the_figure() -> None:
    found = figure("cpu_per_message", CLOSED, {"reactorhost": [1], "twisted": [None], "c": [2]})
    assert found.peers == ["c", "reactorhost"]
    assert (found.median("twisted"), found.spread("twisted"), found.ratio("twisted", "c")) == (None, None, None)


@pytest.mark.parametrize(
    ("load", "server", "bound"), [(0.97, 0.8, ["c"]), (0.97, 0.99, []), (0.9, 0.8, []), (0.97, None, ["c"])]
)
def test_a_value_is_bound_by_the_load_when_only_the_load_had_no_time_left(
    load: float, server: float | None, bound: list[str]
) -> None:
    busy = {"c": [server]} if server else {}
    found = figure("messages", CLOSED, {"c": [1.0]}, load_busy={"c": [load]}, server_busy=busy)
    assert found.bound_by_load == bound


@pytest.mark.parametrize(("load", "server", "disturbed"), [(0.5, 0.6, ["c"]), (0.5, 0.95, []), (0.95, 0.5, [])])
def test_a_value_is_disturbed_when_neither_side_was_busy(load: float, server: float, disturbed: list[str]) -> None:
    found = figure("messages", CLOSED, {"c": [1.0]}, load_busy={"c": [load]}, server_busy={"c": [server]})
    assert found.disturbed == disturbed


def test_a_stored_run_reads_back(tmp_path: Path) -> None:
    made = run(figure("messages", CLOSED, {"c": [1.0, None]}, load_busy={"c": [0.99]}))
    write(made, tmp_path / "run.json")
    assert read(tmp_path / "run.json") == made


def test_a_document_of_another_schema_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"schema": 1}')
    with pytest.raises(ValueError, match="not a run of schema 2"):
        read(tmp_path / "run.json")


def test_goals_are_held_against_ratios_within_the_run() -> None:
    made = run(
        figure("cpu_per_message", CLOSED, {"c": [5, 5], "reactorhost": [5.5, 6]}),
        figure("messages", CLOSED, {"uvloop-protocol": [100, 100], "reactorhost": [90, 99]}),
        figure("pss_per_idle", {"idle": 10000}, {"reactorhost": [1.5, 1.1, 1.2]}),
        figure("cpu_beside_idle", {"idle": 10}, {"reactorhost": [5, 5]}),
        figure("cpu_beside_idle", {"idle": 10000}, {"reactorhost": [5.5, 6.5]}),
    )
    values = {verdict.goal.text: verdict.value for verdict in verdicts(made) if verdict.value is not None}
    words = {verdict.goal.text: verdict.word for verdict in verdicts(made)}
    assert values == pytest.approx(
        {
            "server CPU per 64-byte echo, against C": 1.15,
            "64-byte echoes a second, against uvloop protocol": 0.945,
            "memory per idle connection, 10,000": 1.2,
            "server CPU per message, 10,000 idle clients against 10": 1.2,
        }
    )
    assert words["server CPU per 64-byte echo, against C"] == "met"
    assert words["64-byte echoes a second, against uvloop protocol"] == "not met"
    assert words["64-byte echoes a second, against asyncio protocol"] == "not measured"
