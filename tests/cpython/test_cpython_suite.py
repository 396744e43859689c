"""CPython's own tests of streams, protocols and TLS pass on the transports of the adapter."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from not_applicable import NOT_APPLICABLE

HERE = Path(__file__).parent
SECONDS = 110

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("test") is None or importlib.util.find_spec("test.test_asyncio") is None,
    reason="this Python was installed without its tests",
)


# The others take longer, and use the same parts of a transport.
@pytest.mark.parametrize(
    ("module", "long"),
    [
        ("test_streams", False),
        ("test_buffered_proto", False),
        ("test_server", False),
        ("test_sendfile", False),
        ("test_sslproto", False),
        ("test_ssl", True),
        ("test_events", True),
        ("test_unix_events", True),
        ("test_base_events", True),
    ],
)
def test_a_module_passes(
    module: str, long: bool, soak: bool, tmp_path: Path, measurement: Callable[[str], None]
) -> None:
    if long and not soak:
        pytest.skip("run by --soak")
    run = subprocess.run(
        [sys.executable, str(HERE / "run_modules.py"), module, "--without", *NOT_APPLICABLE],
        # The tests write files beside them.
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(HERE)},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    tests = [json.loads(line) for line in run.stdout.splitlines() if line.startswith("{")]
    assert run.returncode == 0, run.stderr
    assert [f"{each['test']}: {each['why']}" for each in tests if each["outcome"] == "failed"] == []
    adapted = [each for each in tests if each["transports"] and each["outcome"] == "ok"]
    measurement(f"{len(adapted)} tests passed on {sum(each['transports'] for each in adapted)} transports")
    assert adapted
