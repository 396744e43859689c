"""The send buffer: the order of its bytes, its water marks, and the functions that wait."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies

from reactorhost.worker.stream.send_buffer import LOW_WATER, SendBuffer

HIGH_WATER = 64 * 1024


def test_it_is_full_above_high_water_until_low_water() -> None:
    outgoing = SendBuffer()
    marks = []
    for added, sent in ((HIGH_WATER, 0), (1, 0), (0, 1), (0, HIGH_WATER - LOW_WATER - 1), (1, 0), (0, 2)):
        outgoing.add(bytes(added), 0)
        outgoing.drop(sent)
        marks.append((len(outgoing), outgoing.is_full))
    assert marks == [
        (HIGH_WATER, False),
        (HIGH_WATER + 1, True),
        (HIGH_WATER, True),
        (LOW_WATER + 1, True),
        (LOW_WATER + 2, True),
        (LOW_WATER, False),
    ]


@pytest.mark.parametrize("is_open", [True, False])
def test_a_waiting_function_is_called_once(is_open: bool) -> None:
    outgoing = SendBuffer()
    results: list[bool] = []
    outgoing.add(bytes(LOW_WATER + 1), 0)
    outgoing.when_low(results.append)
    outgoing.drop(0)
    assert results == []
    if is_open:
        outgoing.drop(1)
    outgoing.abandon()
    assert results == [is_open]


@given(strategies.lists(strategies.tuples(strategies.binary(max_size=50), strategies.integers(0, 60))))
def test_bytes_leave_in_their_order(steps: list[tuple[bytes, int]]) -> None:
    outgoing = SendBuffer()
    added = sent = b""
    for data, most in steps:
        start = len(data) // 3
        outgoing.add(data, start)
        added += data[start:]
        with outgoing.first() as first:
            piece = bytes(first[:most])
        outgoing.drop(len(piece))
        sent += piece
    with outgoing.first() as first:
        assert sent + bytes(first) == added


def test_one_send_is_limited() -> None:
    outgoing = SendBuffer()
    outgoing.add(bytes(1 << 20), 0)
    with outgoing.first() as first:
        assert len(first) == 256 * 1024
