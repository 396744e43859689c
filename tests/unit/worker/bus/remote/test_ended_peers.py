"""Which worker of a host reports to the others that workers have ended, and when."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reactorhost.bus.refs import Origin
from reactorhost.reactor import Reactor
from reactorhost.testing.fakes import FakeClock, FakePoller
from reactorhost.worker.bus.remote.ended_peers import REPORT_SECONDS, RETRY_SECONDS, EndedPeers

A, B, C, D = (Origin(b"hhhhhhhh", bytes([number]) * 8) for number in range(4))


def into(reports: list[tuple[Origin, bool]]) -> Callable[[Origin, bool], bool]:
    def report(worker: Origin, in_order: bool) -> bool:
        reports.append((worker, in_order))
        return True

    return report


@pytest.mark.parametrize(
    ("own", "others", "is_reported"), [(A, [C], True), (C, [A], False), (B, [D, A], False), (C, [], True)]
)
def test_the_worker_with_the_smallest_id_reports(own: Origin, others: list[Origin], is_reported: bool) -> None:
    clock = FakeClock()
    reactor = Reactor(FakePoller(clock), clock)
    reports: list[tuple[Origin, bool]] = []
    running = [each for each in (A, B, C, D) if each != own]
    ended = EndedPeers(own, reactor, lambda: running, into(reports))
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


def test_a_worker_that_is_linked_after_the_end_does_not_report_it() -> None:
    clock = FakeClock()
    reactor = Reactor(FakePoller(clock), clock)
    reports: list[tuple[Origin, bool]] = []
    running = [D]
    ended = EndedPeers(C, reactor, lambda: running, into(reports))
    ended.add(B, False)
    # The successor of B, with the smallest id.
    running.append(A)
    clock.now += REPORT_SECONDS
    reactor.turn(0.0)
    assert reports == [(B, False)]


def test_a_report_that_cannot_be_sent_is_tried_again() -> None:
    clock = FakeClock()
    reactor = Reactor(FakePoller(clock), clock)
    is_up = False
    tried: list[Origin] = []

    def report(worker: Origin, in_order: bool) -> bool:
        tried.append(worker)
        return is_up

    ended = EndedPeers(A, reactor, list, report)
    ended.add(B, False)
    clock.now += REPORT_SECONDS
    reactor.turn(0.0)
    assert tried == [B]
    ended.add(C, True)
    is_up = True
    clock.now += RETRY_SECONDS
    reactor.turn(0.0)
    clock.now += RETRY_SECONDS
    reactor.turn(0.0)
    assert tried == [B, B, C]
