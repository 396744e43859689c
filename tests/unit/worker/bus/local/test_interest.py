"""Which patterns other workers are notified of, when several parts of a worker want the same."""

from __future__ import annotations

import pytest

from reactorhost.worker.bus.local.interest import Interest
from reactorhost.worker.bus.no_peers import NoPeers


class Recorder(NoPeers):
    """Notes what other workers are notified of."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def want(self, pattern: str) -> None:
        self.calls.append(f"want {pattern}")

    def drop(self, pattern: str) -> None:
        self.calls.append(f"drop {pattern}")


@pytest.mark.parametrize(
    ("steps", "calls", "delivered"),
    [
        (["add"], ["want g:a"], ["g:a"]),
        (["add", "add", "remove"], ["want g:a"], ["g:a"]),
        (["add", "add", "remove", "remove"], ["want g:a", "drop g:a"], []),
        (["add", "remove", "add"], ["want g:a", "drop g:a", "want g:a"], ["g:a"]),
        (["keep", "keep"], ["want g:a"], []),
        (["keep", "add", "remove"], ["want g:a"], []),
        (["add", "keep", "remove"], ["want g:a"], []),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_pattern_is_wanted_once_and_dropped_with_the_last_that_wants_it(
    steps: list[str], calls: list[str], delivered: list[str]
) -> None:
    outbound = Recorder()
    interest = Interest(lambda: outbound)
    for step in steps:
        getattr(interest, step)("g:a")
    assert outbound.calls == calls
    assert list(interest.delivered) == delivered
