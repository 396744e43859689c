"""What follows from `debug` and `reload_on_change` for other settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from reactorhost.config.resolve import resolve
from reactorhost.config.settings import Settings


def settings(**flags: object) -> Settings:
    return resolve({"plugins": ("echo",), **flags}, {}, Path("/"), uid=0, cpus=lambda: 3)


def test_old_workers_drain_briefly_when_code_is_watched() -> None:
    found = settings(reload_on_change=True)
    assert (found.drain_timeout, str(found.origins["drain_timeout"])) == (2.0, "flag --reload-on-change")
    assert settings(reload_on_change=True, drain_timeout="1m").drain_timeout == 60.0
    assert settings().drain_timeout == 3600.0


@pytest.mark.parametrize("workers", [None, "4", "2-8"])
def test_a_debugger_has_one_worker_and_no_deadline(workers: str | None) -> None:
    found = settings(debug=True, workers=workers, slow_hook="1", stall_timeout="5")
    assert (found.workers, found.workers_range) == (1, None)
    assert (found.slow_hook, found.stall_timeout, found.boot_timeout) == (None, None, 86400.0)
    assert str(found.origins["workers"]) == "flag --debug"
    assert (found.stop_timeout, settings(debug=True, stop_timeout="5").stop_timeout) == (2.0, 5.0)
    assert settings(workers="4").workers == 4
