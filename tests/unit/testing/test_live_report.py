"""The report of a failed test with `live_host`: it has the logs of the hosts."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from reactorhost import testing


def reported(folder: Path, outcome: str, logs: list[str]) -> list[tuple[str, str]]:
    """Return the sections that the plugin adds to a report of a test whose hosts have these logs."""
    item = SimpleNamespace(stash=pytest.Stash())
    hosts = item.stash[testing._HOSTS] = [testing.LiveHost(folder / str(number)) for number in range(len(logs))]
    for host, log in zip(hosts, logs, strict=True):
        host.log_path.write_text(log)
    report = SimpleNamespace(sections=[("Captured stdout call", "x")], failed=outcome == "failed")
    wrapper = testing.pytest_runtest_makereport(cast("Any", item))
    next(wrapper)
    with pytest.raises(StopIteration) as ended:
        wrapper.send(cast("Any", report))
    assert ended.value.value is report
    sections: list[tuple[str, str]] = report.sections
    return sections[1:]


def test_the_report_of_a_failed_test_has_the_log_of_each_host(tmp_path: Path) -> None:
    assert reported(tmp_path, "failed", ["first log", "second log"]) == [
        ("log of live_host 1", "first log"),
        ("log of live_host 2", "second log"),
    ]


def test_a_long_log_is_shortened_to_its_end(tmp_path: Path) -> None:
    ((_, text),) = reported(tmp_path, "failed", ["x" * 100_000 + "traceback"])
    assert len(text) < 50_000
    assert text.endswith("traceback")


def test_the_report_of_a_passed_test_has_no_log(tmp_path: Path) -> None:
    assert reported(tmp_path, "passed", ["log"]) == []
