"""The tests in the documentation that start a real host pass; tests/unit checks every other example."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from reactorhost.testing import LiveHost

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
EXAMPLES = [
    pytest.param(path, code, id=f"{path.relative_to(ROOT)}-{number}")
    for path in PAGES
    for number, code in enumerate(re.findall(r"^```python\n(.*?)^```", path.read_text(), re.DOTALL | re.MULTILINE))
    if "(live_host)" in code
]


@pytest.mark.parametrize(("path", "code"), EXAMPLES)
def test_every_documented_test_of_a_live_host_passes(path: Path, code: str, live_host: Callable[..., LiveHost]) -> None:
    names: dict[str, Callable[..., None]] = {}
    exec(compile(code, str(path), "exec"), names)
    tests = [value for name, value in names.items() if name.startswith("test_")]
    assert tests
    for test in tests:
        test(live_host)
