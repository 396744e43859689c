"""What a running host reports of its settings."""

from __future__ import annotations

from dataclasses import replace

import pytest

from planner_settings import host_settings
from reactorhost.config.worker_count import WorkerRange
from reactorhost.master.admin.settings_report import settings_report
from reactorhost.master.plan.planner import Planner


@pytest.mark.parametrize(
    ("configured", "requested", "reported"),
    [
        (None, None, "2"),
        (WorkerRange(2, 4), WorkerRange(2, 4), "2-4"),
        (WorkerRange(2, 4), WorkerRange(3, 8), "3-8"),
        (WorkerRange(2, 4), None, "2"),
    ],
    ids=["a number", "a range", "another range was requested", "a number was requested"],
)
def test_the_workers_are_a_number_or_the_range_that_is_in_use(
    configured: WorkerRange | None, requested: WorkerRange | None, reported: str
) -> None:
    planner = Planner(replace(host_settings(2), workers_range=configured))
    planner.autoscale.range = requested
    assert settings_report(planner)["workers"] == reported
