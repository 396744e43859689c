"""Neither reloads nor connections make a host grow; with `--soak` a thousand and a million of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from census import Footprint, footprints
from load import Load
from reactorhost.testing import LiveHost
from waiting import until

Hosts = Callable[..., LiveHost]
Measurement = Callable[[str], None]

# Of the first reloads or connections, which fill pools, histories and caches that have a limit.
_WARM_UP_SHARE = 0.1
_MOST_GROWTH = 1.05
_KIB = 1024


def reload(host: LiveHost) -> None:
    answer = host.ask("reload")
    assert answer["status"] == 0, answer
    host.until(lambda status: [worker["state"] for worker in status["workers"]] == ["ready"] * 2, "the end of a drain")


def held(found: dict[str, Footprint]) -> list[tuple[Counter[str], int]]:
    """Return descriptors and threads of each process."""
    return [(each.descriptors, each.threads) for each in found.values()]


@pytest.mark.timeout(3600)
def test_reloads_leave_the_host_as_large_as_it_was(live_host: Hosts, soak: bool, measurement: Measurement) -> None:
    reloads = 1000 if soak else 15
    host = live_host("--plugin", "echo", "--workers", "2")
    warm_up = max(3, int(reloads * _WARM_UP_SHARE))
    for _ in range(warm_up):
        reload(host)
    before = footprints(host)
    with Load(host.address(), in_flight=4) as load:
        for _ in range(reloads - warm_up):
            reload(host)
        count = load.stop()
    until(lambda: held(footprints(host)) == held(before), "the same descriptors and threads")
    for name, new in footprints(host).items():
        old = before[name]
        measurement(f"{name}: {old.resident // _KIB} KiB, after {reloads} reloads {new.resident // _KIB} KiB")
        assert new.resident <= old.resident * _MOST_GROWTH
    measurement(f"{count.answered} connections answered meanwhile, failures {count.failures}")
    assert not count.failures


@pytest.mark.timeout(3600)
def test_connections_leave_the_host_as_large_as_it_was(live_host: Hosts, soak: bool, measurement: Measurement) -> None:
    connections = 1_000_000 if soak else 5_000
    host = live_host("--plugin", "echo", "--workers", "2")
    empty = footprints(host)
    with Load(host.address()) as load:
        load.more(int(connections * _WARM_UP_SHARE))
        before = footprints(host)
        done = 0
        while done < connections:
            done = load.more(2_000).answered
        count = load.stop()
    until(lambda: held(footprints(host)) == held(empty), "the same descriptors and threads")
    for name, new in footprints(host).items():
        old = before[name]
        measurement(f"{name}: {old.resident // _KIB} KiB, after {done} connections {new.resident // _KIB} KiB")
        assert new.resident <= old.resident * _MOST_GROWTH
    measurement(f"{count.answered} connections answered in {count.seconds:.0f} s, failures {count.failures}")
    assert not count.failures
