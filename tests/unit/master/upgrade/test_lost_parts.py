"""What a host would lose by an upgrade."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from unittest.mock import Mock

import pytest

from planner_settings import host_settings
from reactorhost import address
from reactorhost.master.metrics import library
from reactorhost.master.upgrade.lost_parts import lost_parts


@pytest.mark.parametrize(
    ("admin", "had_it", "has_it", "count"),
    [
        ("tcp://127.0.0.1:9900", True, False, 1),
        ("tcp://127.0.0.1:9900", True, True, 0),
        # Probes are served without it.
        ("tcp://127.0.0.1:9900", False, False, 0),
        (None, True, False, 0),
    ],
)
def test_metrics_that_the_other_installation_cannot_serve_are_a_warning(
    admin: str | None, had_it: bool, has_it: bool, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "is_installed", lambda: has_it)
    before: Any = Mock(has_metrics=had_it)
    settings = replace(host_settings(1), admin=None if admin is None else address.parse(admin))
    warnings = lost_parts(settings, before)
    assert len(warnings) == count
    assert all("prometheus-client is not installed there" in each for each in warnings)
