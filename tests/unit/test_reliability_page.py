"""Every test that the page on reliability names exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "explanation" / "reliability.md").read_text(encoding="utf-8")
_TEST = re.compile(r"`([a-z0-9_/]+/test_[a-z0-9_]+\.py)::(\w+)`")
_ROW = re.compile(r"^\| (\d+) \| \*\*.*$", re.MULTILINE)


@pytest.mark.parametrize(("file", "name"), sorted(set(_TEST.findall(PAGE))))
def test_every_named_test_is_collected(file: str, name: str) -> None:
    assert name.startswith("test_")
    module = ast.parse((ROOT / "tests" / file).read_text(encoding="utf-8"))
    # By the rules of pytest: a function of the module. A class would need its name in front.
    assert name in {each.name for each in module.body if isinstance(each, ast.FunctionDef)}


def test_each_of_the_twenty_behaviours_has_a_test() -> None:
    assert [int(number) for number in _ROW.findall(PAGE)] == list(range(1, 21))
    assert all(_TEST.search(row.group()) for row in _ROW.finditer(PAGE))
