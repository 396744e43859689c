"""A host that is started without standard input, output or error works."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from reactorhost.testing import DEADLINE_SECONDS

START = [sys.executable, "-m", "reactorhost", "start", "-d", "--plugin", "echo", "--listen", "tcp://127.0.0.1:0"]


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_start_with_closed_descriptors(tmp_path: Path, closed: str) -> None:
    place = ["--run-dir", str(tmp_path / "run")]
    started = subprocess.run(
        ["/bin/sh", "-c", f'exec "$@" {closed}', "sh", *START, *place], check=False, timeout=DEADLINE_SECONDS
    )
    stopped = subprocess.run(
        [sys.executable, "-m", "reactorhost", "stop", *place],
        check=False,
        timeout=DEADLINE_SECONDS,
        capture_output=True,
    )
    assert (started.returncode, stopped.returncode) == (0, 0)
