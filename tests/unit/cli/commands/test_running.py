"""What `scale` accepts and passes to the host."""

from __future__ import annotations

import click
import pytest

from reactorhost.cli.commands.running import WorkerCount
from reactorhost.cli.failures import InvalidArgumentError


@pytest.mark.parametrize(("written", "passed"), [("3", 3), (" 256 ", 256), ("2-8", "2-8"), ("auto", "auto")])
def test_a_number_a_range_and_auto_are_passed_on(written: str, passed: object) -> None:
    assert WorkerCount().convert(written, None, None) == passed


@pytest.mark.parametrize("written", ["0", "-1", "257", "many", "1.5", "8-2", "0-2", "2-257", ""])
def test_anything_else_is_a_usage_error(written: str) -> None:
    with pytest.raises(click.BadParameter, match="it must be"):
        WorkerCount().convert(written, None, None)


def test_the_error_says_what_can_be_written() -> None:
    with pytest.raises(InvalidArgumentError) as refused:
        WorkerCount().convert("many", None, None)
    assert refused.value.advice == 'write 4, "2-16" or "auto"'
