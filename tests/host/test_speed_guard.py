"""A message costs the host little more than it costs a bare Python loop: a guard, not a measurement.

The figures are made by `nox -s bench`. This only notices when somebody puts work on the way of a message, on any
machine: what is held is a ratio of CPU times of two servers that take turns, and several times before it counts.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import pytest

import echoes
from echoes import EchoServer
from reactorhost.testing import LiveHost

MOST = 1.4
"""How often the CPU time that an echo costs the bare loop it may cost the host; 1.1 to 1.2 on a quiet machine."""

_REPETITIONS = 5
_CLIENTS = 64
_SLICES = 20
_TIMES = 5


@pytest.mark.skipif("coverage" in sys.modules, reason="the host is traced and the bare loop is not")
@pytest.mark.skipif(not os.path.exists("/proc/self/schedstat"), reason="this kernel does not tell CPU times finely")
def test_an_echo_costs_the_host_little_more_than_a_bare_loop(
    live_host: Callable[..., LiveHost], measurement: Callable[[str], None]
) -> None:
    host = live_host("--plugin", "echo", "--workers", "1")
    (worker,) = host.workers()
    ratios: list[float] = []
    with (
        echoes.connected(host.address(), worker["pid"], _CLIENTS) as ours,
        echoes.bare_loop(_CLIENTS) as bare,
        echoes.on_one_processor(ours, bare),
    ):
        # The first is not counted: interpreters adapt to what they run, and of a quiet host every call is timed.
        ratio(ours, bare)
        while len(ratios) < _REPETITIONS and (not ratios or ratios[-1] > MOST):
            ratios.append(ratio(ours, bare))
    measurement(", ".join(f"{each:.2f}" for each in ratios))
    assert ratios[-1] <= MOST, f"the CPU time of a bare loop, times {ratios}: something is on the way of a message"


def ratio(ours: EchoServer, bare: EchoServer) -> float:
    """Return the ratio of the cheapest slices of many in turn: what else the machine does only makes slices dearer."""
    pairs = [(ours.nanoseconds_per_echo(_TIMES), bare.nanoseconds_per_echo(_TIMES)) for _ in range(_SLICES)]
    return min(cost for cost, _ in pairs) / min(cost for _, cost in pairs)
