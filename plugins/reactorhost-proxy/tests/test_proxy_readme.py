"""The README describes every option as it is, and its examples are valid."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from reactorhost_proxy.settings import OPTIONS, parse

README = (Path(__file__).parents[1] / "README.md").read_text()
EXAMPLES = [example for example in re.findall(r"```toml\n(.*?)```", README, re.DOTALL) if "[plugin.proxy" in example]


def test_every_option_is_described_with_its_default() -> None:
    table = README.partition("## Options")[2].partition("## Metrics")[0]
    rows = re.findall(r"^\| `(\w+)` \| (none|`.*?`) \| (.*) \|$", table, re.MULTILINE)
    assert [name for name, _, _ in rows] == [option.name for option in OPTIONS]
    for option, (_, default, meaning) in zip(OPTIONS, rows, strict=True):
        assert option.default == (None if default == "none" else json.loads(default.strip("`")))
        assert meaning.startswith(option.help)


def test_there_are_examples() -> None:
    assert len(EXAMPLES) == 4


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_valid(example: str) -> None:
    document = tomllib.loads(example)
    values = document["plugin"]["proxy"]
    services = document.get("service", ())
    assert parse({option.name: option.default for option in OPTIONS} | values, tuple(services)).pools
