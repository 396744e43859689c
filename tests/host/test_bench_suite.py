from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from compiler import compiler
from results import read

SUITE = Path(__file__).parents[1] / "benchmarks" / "suite.py"
BRIEF = ["--rounds", "1", "--seconds", "0.02", "--warm-up", "0.01", "--clients", "4", "--idle", "20", "--sizes", "64"]


@pytest.mark.skipif(not compiler(), reason="the load is written in C")
def test_the_suite_measures_a_host_beside_the_yardstick(tmp_path: Path) -> None:
    figures = ("messages", "bulk", "connections", "memory")
    words = ["--figures", ",".join(figures), "--peers", "c,reactorhost", "--json", str(tmp_path / "run.json")]
    # The programs share modules of their folder.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    done = subprocess.run(
        [sys.executable, str(SUITE), *BRIEF, *words],
        check=False,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    run = read(tmp_path / "run.json")
    assert run.not_measured == []
    assert {figure.name for figure in run.figures} >= {"cpu_per_message", "bytes", "cpu_per_connection", "pss_per_idle"}
    for figure in run.figures:
        assert figure.median("reactorhost") is not None, figure
    for name in ("cpu_per_message", "messages", "cpu_per_mib", "cpu_per_connection"):
        for figure in run.named(name):
            assert (figure.ratio("reactorhost", "c") or 0) > 0
