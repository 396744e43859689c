from __future__ import annotations

import pytest

from goals import verdicts
from results import Figure, Run
from tables import closing, figure_table, number, title


def test_a_table_shows_median_spread_ratios_and_how_busy_both_sides_were() -> None:
    found = Figure(
        "cpu_per_message",
        "us",
        {"bytes": 16384, "mode": "closed"},
        "lower",
        {"reactorhost": [6.0, 8.0, 7.0], "uvloop-protocol": [6.0, 8.0, 7.0], "c": [5.0, 4.0, 7.0]},
        {"c": [0.99], "uvloop-protocol": [0.9], "reactorhost": [0.8]},
        {"c": [0.8], "uvloop-protocol": [1.0], "reactorhost": [1.0]},
    )
    assert figure_table(found).splitlines() == [
        "server CPU per message, 16 KiB, closed",
        "                     us    min-max   / c  / uvloop-protocol  server busy  load busy",
        "  c *              5.00  4.00-7.00  1.00               0.83          80%        99%",
        "  uvloop-protocol  7.00  6.00-8.00  1.20               1.00         100%        90%",
        "  reactorhost      7.00  6.00-8.00  1.20               1.00         100%        80%",
        "* bound by the load, which had no time left while the server had",
    ]


def test_a_peer_that_failed_is_named_under_the_table() -> None:
    found = Figure("messages", "1/s", {}, "higher", {"c": [1.0, 2.0], "twisted": [1.0, None], "gevent": [None, None]})
    assert figure_table(found).splitlines()[-1] == "failed in a round and was left out afterwards: twisted, gevent"
    assert "gevent" not in "\n".join(figure_table(found).splitlines()[:-1])


@pytest.mark.parametrize(("share", "names"), [(0.5, "all"), (0.95, "c")])
def test_measurements_of_a_busy_machine_are_marked(share: float, names: str) -> None:
    busy: dict[str, list[float | None]] = {"c": [0.5], "twisted": [share]}
    found = Figure("messages", "1/s", {}, "higher", {"c": [1.0], "twisted": [1.0]}, busy, busy)
    assert figure_table(found).splitlines()[-1].endswith(f"another process used a processor: {names}")


def test_a_ratio_to_almost_zero_is_left_out() -> None:
    found = Figure("pss_per_idle", "KiB", {"idle": 1000}, "lower", {"c": [0.001], "reactorhost": [1.0]})
    assert "/ c" not in figure_table(found)


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ({"bytes": 64, "mode": "pipelined"}, "messages a second, 64 B, pipelined"),
        ({"bytes": 1048576}, "messages a second, 1 MiB"),
        ({"quantile": 0.999, "load": 0.5}, "messages a second, p99.9, at 50% of the largest load"),
        ({"idle": 10000}, "messages a second, 10,000 idle"),
        ({"workers": 1}, "messages a second, 1 worker"),
        ({"workers": 4, "start": "daemon"}, "messages a second, 4 workers, daemon"),
        ({"idle_timeout": False, "idle": 10}, "messages a second, no idle timeout, 10 idle"),
        ({"statistics": "off"}, "messages a second, statistics off"),
        ({}, "messages a second"),
    ],
)
def test_a_title_says_the_case_in_words(case: dict[str, object], words: str) -> None:
    assert title(Figure("messages", "1/s", case, "higher")) == words


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (0.0123, "0.012"),
        (-0.0001, "0.000"),
        (1.234, "1.23"),
        (45.678, "45.7"),
        (123.4, "123"),
        (1234567.0, "1,234,567"),
    ],
)
def test_a_number_has_about_three_significant_digits(value: float | None, text: str) -> None:
    assert number(value) == text


def test_a_run_ends_with_the_goals_and_what_was_not_measured() -> None:
    figure = Figure("pss_per_idle", "KiB", {"idle": 10000}, "lower", {"reactorhost": [1.4]})
    notes = [{"what": "workerman", "why": "PHP is not installed"}]
    run = Run("", "", "nox -s bench", None, {}, {}, {}, {}, [figure], notes)
    lines = closing(run).splitlines()
    assert lines[-2:] == ["not measured", "  workerman: PHP is not installed"]
    shown = [line.split() for line in lines if line.startswith("  memory per idle connection")]
    assert shown == [["memory", "per", "idle", "connection,", "10,000", "≤", "1.30", "KiB", "1.40", "not", "met"]]
    assert len(verdicts(run)) == sum("met" in line or "not measured" in line for line in lines[:-3])
