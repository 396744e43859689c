"""A wait status in words."""

from __future__ import annotations

import pytest

from reactorhost.master.workers import exit_status


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (0, "exit status 0"),
        (3 << 8, "exit status 3"),
        (9, "signal 9 (SIGKILL)"),
        (11 | 0x80, "signal 11 (SIGSEGV)"),
        (33, "signal 33 (unknown)"),
    ],
)
def test_every_end_has_words(status: int, words: str) -> None:
    assert exit_status.decode(status) == words


def test_only_the_kill_signal_asks_for_memory_evidence() -> None:
    assert exit_status.killed(9)
    assert not exit_status.killed(15)
    assert not exit_status.killed(9 << 8)
