"""A master that `stop` cannot send a signal: it is never signalled by its number, and the error says what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from reactorhost.cli.stop import _Master
from reactorhost.config.resolve import Location
from reactorhost.errors import ReactorhostError


@pytest.mark.parametrize(
    ("pid", "hint"), [(0, "it runs in another pid namespace: stop it there"), (4_000_000, "kill 4000000")]
)
def test_a_silent_master_without_a_pidfd_is_not_signalled(tmp_path: Path, pid: int, hint: str) -> None:
    with pytest.raises(ReactorhostError, match="does not answer") as refused:
        _Master(Location("default", tmp_path, False), pid, None).signal_and_wait(at_once=False)
    assert refused.value.hint == hint


def test_the_end_of_a_master_without_a_pidfd_is_that_of_its_lock(tmp_path: Path) -> None:
    assert _Master(Location("default", tmp_path, False), 0, None).wait_for_end(1.0)
