"""Which worker of a host reports to the others that workers have ended, and when."""

from __future__ import annotations

import pytest

from reactorhost.bus.refs import Origin
from reactorhost.reactor import Reactor
from reactorhost.testing.fakes import FakeClock, FakePoller
from reactorhost.worker.bus.remote.ended_peers import REPORT_SECONDS, EndedPeers

A, B, C, D = (Origin(b"hhhhhhhh", bytes([number]) * 8) for number in range(4))


@pytest.mark.parametrize(
    ("own", "others", "is_reported"), [(A, [C], True), (C, [A], False), (B, [D, A], False), (C, [], True)]
)
def test_the_worker_with_the_smallest_id_reports(own: Origin, others: list[Origin], is_reported: bool) -> None:
    clock = FakeClock()
    reactor = Reactor(FakePoller(clock), clock)
    reports: list[tuple[Origin, bool]] = []
    running = [A, B, C, D]
    ended = EndedPeers(own, reactor, lambda: running, lambda *report: reports.append(report))
    # The one with the smallest id ends last.
    gone = [each for each in (D, C, B, A) if each != own and each not in others]
    for each in gone:
        ended.add(each, each is D)
        clock.now += REPORT_SECONDS / 10
    running[:] = others
    reactor.turn(0.0)
    assert reports == []
    clock.now += REPORT_SECONDS
    reactor.turn(0.0)
    assert reports == ([(each, each is D) for each in gone] if is_reported else [])
    # Those that end later are reported too, and no one twice.
    ended.add(gone[0], True)
    clock.now += REPORT_SECONDS
    reactor.turn(0.0)
    assert reports[len(gone) :] == ([(gone[0], True)] if is_reported else [])
