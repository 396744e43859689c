"""Random actions on a host under load, for seconds: what `nox -s chaos` does for longer."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

import chaos
from chaotic_host import ChaoticHost, ViolationError

_SOAK_SECONDS = 20 * 60.0
# `nox -s tests` has a minute for one interpreter.
_SECONDS = float(os.environ.get("CHAOS_SECONDS", "15"))


@pytest.mark.timeout(2 * _SOAK_SECONDS)
def test_random_actions_under_load_violate_no_promise(
    tmp_path: Path, soak: bool, measurement: Callable[[str], None]
) -> None:
    seed = random.SystemRandom().randrange(1 << 32) if soak else 16
    try:
        measurement(f"seed {seed}: {chaos.run(tmp_path, seed, _SOAK_SECONDS if soak else _SECONDS)}")
    except ViolationError as violation:
        violation.add_note(f"seed {seed}\n{(tmp_path / 'journal').read_text()}\n{(tmp_path / 'host.log').read_text()}")
        raise


def test_a_worker_that_ends_without_an_action_is_a_violation(tmp_path: Path) -> None:
    with ChaoticHost(tmp_path, 1, tmp_path / "journal") as host:
        os.kill(host.live.workers()[0]["pid"], signal.SIGKILL)
        with pytest.raises(ViolationError, match="worker_crashed"):
            host.round([])
