"""Rows of hosts; what another user reports is text of limited length and numbers."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from reactorhost.dashboard.output.rich_tables import host_table
from reactorhost.ipc.host_row import HostRow
from reactorhost.master.host_survey import _checked, _row
from reactorhost.system.ownership import user_name

DOCUMENT = {
    "name": "chat",
    "state": "running",
    "workers_ready": 1,
    "workers_wanted": 2,
    "totals": {"connections": 7},
    "uptime_seconds": 61.0,
    "version": "1.0",
}


def shown(row: HostRow) -> list[str]:
    return [str(next(iter(column.cells))) for column in host_table([row]).columns]


def test_a_host_that_answers_is_shown_by_its_document() -> None:
    row = _row(Path("/run/x/other"), 12, "alice", [Path("/run/x")], DOCUMENT)
    assert shown(row) == ["chat", "12", "alice", "running", "1/2", "7", "1m01s", "1.0", "/run/x/other"]


@pytest.mark.parametrize(("base", "name"), [("/run/x", "other"), ("/run", None)])
def test_a_host_that_does_not_answer_is_shown_by_its_process(base: str, name: str | None) -> None:
    row = _row(Path("/run/x/other"), os.getpid(), "alice", [Path(base)], None)
    assert row["uptime_seconds"] is not None
    assert row["uptime_seconds"] > 0
    assert (row["name"], row["state"], row["connections"]) == (name, None, None)
    assert shown(row)[3:6] == ["no answer", "-", "-"]


HONEST: dict[str, Any] = {**_row(Path("/run/x"), 12, "alice", [], DOCUMENT), "user": "root"}


def test_the_user_is_not_what_the_row_says() -> None:
    assert _checked(os.geteuid(), HONEST)["user"] == user_name(os.geteuid()).strip("'")


@pytest.mark.parametrize("value", ["Infinity", "NaN", "1" * 400, '"1"', "[]", "{}", "-1e300"])
@pytest.mark.parametrize("field", ["workers_ready", "connections", "uptime_seconds"])
def test_a_wrong_number_is_unknown(field: str, value: str) -> None:
    row = _checked(0, {**HONEST, field: json.loads(value)})
    assert row[field] is None  # type: ignore[literal-required]
    assert shown(row)


@pytest.mark.parametrize("value", ["0", '["x"]', '"' + "x" * 10_000 + '"'])
@pytest.mark.parametrize("field", ["name", "state", "version"])
def test_a_wrong_text_is_unknown_or_cut(field: str, value: str) -> None:
    row = _checked(0, {**HONEST, field: json.loads(value)})
    assert row[field] is None or len(row[field]) <= 200  # type: ignore[literal-required]
    assert shown(row)
