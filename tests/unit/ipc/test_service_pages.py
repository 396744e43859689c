"""The records of services: stored by workers, added up by the master, passed on to another program."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from reactorhost.histogram import BUCKETS
from reactorhost.ipc.counters import Counters
from reactorhost.ipc.scoreboard import Scoreboard
from reactorhost.ipc.service_pages import (
    LANES,
    MOST_CHAIN_PLUGINS,
    Lanes,
    ServicePages,
    ServicePagesState,
    ServiceRecords,
    ServiceTimings,
    counters_of,
    packed_counters,
    records_of,
    timings_of,
)
from reactorhost.ipc.typed_json import from_json, to_json

COUNTED = Counters(
    connections=3,
    bus_members=4,
    accepted=5,
    refused=6,
    denied=7,
    over_address_limit=8,
    late_messages=9,
    rate_pauses=10,
    messages=2**40,
    bytes_in=2**50,
    bytes_out=2**60,
    hook_errors=11,
)
TIMED = ServiceTimings(7, 8, list(range(BUCKETS)), list(range(MOST_CHAIN_PLUGINS)))


def counters(records: ServiceRecords) -> list[Counters]:
    """Return what each service has counted."""
    services = range(len(records.timed))
    packed = packed_counters(records.counted, len(services))
    return [counters_of(packed, service) for service in services]


def test_every_lane_is_read_as_it_was_stored() -> None:
    pages = ServicePages(2, 3)
    pages.write_counters(1, 2, COUNTED)
    pages.write_timings(1, 2, TIMED)
    assert counters(pages.read(1)) == [Counters(), Counters(), COUNTED]
    assert [timings_of(each) for each in pages.read(1).timed] == [ServiceTimings(), ServiceTimings(), TIMED]
    assert pages.read(0) == ServiceRecords(0, (0, 0, 0))
    assert (pages.counted(1), pages.timed(1, 2)) == (pages.read(1).counted, pages.read(1).timed[2])


def test_the_sum_of_records_has_the_sum_of_each_lane() -> None:
    pages = ServicePages(2, 2)
    for page, messages in ((0, 2**62), (1, 2**61)):
        pages.write_counters(page, 1, replace(COUNTED, messages=messages))
        pages.write_timings(page, 1, TIMED)
    total = pages.read(0).plus(pages.read(1))
    first, found = counters(total)
    assert first == Counters()
    assert (found.connections, found.messages, found.bytes_in) == (6, 3 * 2**61, 2**51)
    timings = timings_of(total.timed[1])
    assert timings.receive == [2 * each for each in TIMED.receive]
    assert timings.work == [2 * each for each in TIMED.work]


def test_what_also_falls_is_not_kept_of_an_ended_worker() -> None:
    pages = ServicePages(1, 2)
    for service in (0, 1):
        pages.write_counters(0, service, COUNTED)
    assert counters(pages.read(0).without_gauges()) == [replace(COUNTED, connections=0, bus_members=0)] * 2


def test_the_page_of_an_ended_worker_is_zeros() -> None:
    board = Scoreboard(1, services=2)
    page = board.take_page()
    board.services.write_counters(page, 1, COUNTED)
    assert counters(records_on(board, page)) == [Counters(), COUNTED]
    board.give_back(page)
    assert board.services_of(page) is None
    assert board.take_page() == page
    assert records_on(board, page) == ServiceRecords(0, (0, 0))


def records_on(board: Scoreboard, page: int) -> ServiceRecords:
    """Return the records of a page that a worker uses."""
    pages = board.services_of(page)
    assert pages is not None
    return pages.read(page)


def handed_over(board: Scoreboard, services: int, changed: ServicePagesState | None = None) -> Scoreboard:
    """Return the scoreboard of a program that gets a board's descriptors."""
    state = board.export()

    def copied(each: ServicePagesState) -> ServicePagesState:
        passed = from_json(ServicePagesState, to_json(each))
        return replace(passed, descriptor=os.dup(each.descriptor))

    pages = tuple(replace(each, descriptor=os.dup(each.descriptor)) for each in state.pages)
    found = tuple(copied(each) for each in ((changed,) if changed else state.services))
    cells = os.dup(state.cells_descriptor)
    return Scoreboard(9, replace(state, pages=pages, services=found, cells_descriptor=cells), services=services)


def test_the_pages_continue_in_another_program() -> None:
    board = Scoreboard(2, services=1)
    page = board.take_page()
    board.services.write_counters(page, 0, COUNTED)
    other = handed_over(board, 1)
    assert counters(records_on(other, page)) == [COUNTED]
    # The worker of before goes on writing.
    board.services.write_counters(page, 0, replace(COUNTED, accepted=99))
    assert counters(records_on(other, page))[0].accepted == 99
    assert len(other.export().services) == 1


def test_the_pages_of_another_version_are_read_by_name_until_their_workers_have_ended() -> None:
    board = Scoreboard(2, services=1)
    page = board.take_page()
    other_lanes = Lanes(("removed", "accepted", "connections"), ("calls", f"receive/{BUCKETS + 1}.0"))
    earlier = ServicePagesState(_filled(page, (1, 22, 33, 44, 55)), 1, (page,), other_lanes)
    other = handed_over(board, 1, earlier)
    found, pages = records_on(other, page), other.services_of(page)
    assert counters(found) == [Counters(accepted=22, connections=33)]
    assert [timings_of(each) for each in found.timed] == [ServiceTimings(calls=44)]
    assert pages is not None
    assert (pages.counted(page), pages.timed(page, 0), pages.timed(page, 1)) == (found.counted, found.timed[0], 0)
    assert len(other.export().services) == 2
    other.give_back(page)
    assert len(other.export().services) == 1


def _filled(page: int, lanes: tuple[int, ...]) -> int:
    """Return the descriptor of memory for two workers, in which the page of one has these lanes."""
    descriptor = os.memfd_create("earlier")
    os.ftruncate(descriptor, 2 * os.sysconf("SC_PAGESIZE"))
    packed = b"".join(each.to_bytes(8, "little") for each in lanes)
    os.pwrite(descriptor, packed, page * os.sysconf("SC_PAGESIZE"))
    return descriptor


def test_a_worker_of_a_version_without_records_has_none() -> None:
    board = Scoreboard(2)
    page = board.take_page()
    other = handed_over(board, 1, ServicePagesState(_filled(0, (1,)), 1, (), Lanes(("accepted",), ())))
    assert other.services_of(page) is None


@pytest.mark.parametrize(
    "lanes", [LANES, Lanes(LANES.counted[1:], (*LANES.timed, "added"))], ids=["this version", "another one"]
)
def test_lanes_go_through_their_names(lanes: Lanes) -> None:
    names = (*lanes.counted, *lanes.timed)
    values = [range(1, 1 + len(names)), range(1001, 1001 + len(names))]
    expected = [dict(zip(names, each, strict=True)) for each in values]
    found = records_of(lanes, values).lanes()
    assert found == [tuple(each.get(name, 0) for name in (*LANES.counted, *LANES.timed)) for each in expected]
