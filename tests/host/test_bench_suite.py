from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from compiler import compiler
from programs import needs
from results import read
from waiting import all_end, until

SUITE = Path(__file__).parents[1] / "benchmarks" / "suite.py"
BRIEF = ["--rounds", "1", "--seconds", "0.02", "--warm-up", "0.01", "--clients", "4", "--idle", "20", "--sizes", "64"]


def environment() -> dict[str, str]:
    """Return one in which the programs find the modules of their folder, which they share."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}


def run_quietly(program: Path, *words: str) -> None:
    done = subprocess.run(
        [sys.executable, str(program), *words],
        check=False,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not compiler(), reason="the load is written in C")
def test_the_suite_measures_a_host_beside_the_yardstick(tmp_path: Path) -> None:
    figures = ("messages", "bulk", "connections", "memory")
    words = ["--figures", ",".join(figures), "--peers", "c,reactorhost", "--json", str(tmp_path / "run.json")]
    run_quietly(SUITE, *BRIEF, *words)
    run = read(tmp_path / "run.json")
    assert run.not_measured == []
    assert {figure.name for figure in run.figures} >= {"cpu_per_message", "bytes", "cpu_per_connection", "pss_per_idle"}
    for figure in run.figures:
        assert figure.median("reactorhost") is not None, figure
    for name in ("cpu_per_message", "messages", "cpu_per_mib", "cpu_per_connection"):
        for figure in run.named(name):
            assert (figure.ratio("reactorhost", "c") or 0) > 0


@pytest.mark.skipif(not compiler(), reason="the yardstick is written in C")
def test_turns_are_measured_beside_a_bare_loop_and_one_in_c(tmp_path: Path) -> None:
    words = ["--rounds", "2", "--clients", "1", "4", "--before", sys.executable, "--json", str(tmp_path / "turns.json")]
    run_quietly(SUITE.with_name("turn_cost.py"), *words)
    one, four = json.loads((tmp_path / "turns.json").read_text())["figures"]
    assert (one["case"], four["case"]) == ({"bytes": 64, "clients": 1}, {"bytes": 64, "clients": 4})
    for figure in (one, four):
        assert list(figure["rounds"]) == ["c", "bare", "reactorhost", "reactorhost-before"]
        assert all(value > 0 for values in figure["rounds"].values() for value in values)


@pytest.mark.skipif(not compiler(), reason="the load is written in C")
def test_the_bus_is_measured_over_several_workers(tmp_path: Path) -> None:
    words = ["--figures", "deliveries,latency", "--peers", "reactorhost", "--members", "8", "--workers", "2"]
    brief = ["--rounds", "1", "--seconds", "0.02", "--warm-up", "0.01"]
    run_quietly(SUITE.with_name("bus_cost.py"), *words, *brief, "--json", str(tmp_path / "bus.json"))
    figures = json.loads((tmp_path / "bus.json").read_text())["figures"]
    names = [figure["name"] for figure in figures]
    assert names == ["bus_deliveries", "bus_cpu_per_delivery", "bus_latency", "bus_latency", "load_lateness"]
    assert all(value > 0 for figure in figures[:-1] for value in figure["rounds"]["reactorhost"])


@pytest.mark.parametrize(
    ("program", "words", "server"),
    [
        pytest.param("proxy", ["--seconds", "0.1"], "reactorhost", marks=needs("cc")),
        pytest.param(
            "guard",
            ["--seconds", "0.1", "--peers", "echo,guard-all", "--addresses", "200"],
            "guard-all",
            marks=needs("cc"),
        ),
        pytest.param(
            "redisserver", ["--requests", "200", "--tests", "get"], "redisserver", marks=needs("redis-benchmark")
        ),
    ],
)
def test_a_plugin_is_measured_beside_other_servers(program: str, words: list[str], server: str, tmp_path: Path) -> None:
    found = tmp_path / "run.json"
    (file,) = SUITE.parent.glob(f"{program}_*.py")
    run_quietly(file, "--rounds", "1", *words, "--json", str(found))
    figures = json.loads(found.read_text())["figures"]
    assert figures
    for figure in figures:
        assert len(figure["rounds"]) > 1
        assert figure["rounds"][server][0] > 0


@pytest.mark.skipif(not compiler(), reason="the load is written in C")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_suite_that_is_interrupted_leaves_no_server_behind(number: signal.Signals) -> None:
    words = ["--figures", "messages", "--peers", "c,asyncio-protocol", "--sizes", "64", "--rounds", "1000"]
    with subprocess.Popen(
        [sys.executable, str(SUITE), *BRIEF[2:6], *words],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as suite:
        servers = children(suite.pid, 2)
        suite.send_signal(number)
        suite.communicate(timeout=60)
    assert suite.returncode != 0
    assert all_end(servers)


def children(pid: int, least: int) -> list[int]:
    """Wait until a process has so many children, and return them."""
    file = Path(f"/proc/{pid}/task/{pid}/children")
    until(lambda: len(file.read_text().split()) >= least, f"{least} servers")
    return [int(each) for each in file.read_text().split()]
