"""The send buffer: the order of its bytes, its water marks, and the functions that wait."""

from __future__ import annotations

import itertools
import tempfile
from typing import Any

import pytest
from hypothesis import given, strategies

from reactorhost.worker.stream.file_part import FilePart
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


steps = strategies.lists(
    strategies.one_of(
        strategies.tuples(strategies.just("bytes"), strategies.binary(max_size=40)),
        strategies.tuples(strategies.just("file"), strategies.integers(0, 40)),
        strategies.tuples(strategies.just("send"), strategies.integers(0, 60)),
    )
)


@given(steps)
def test_bytes_and_files_leave_in_their_order(steps: list[tuple[str, Any]]) -> None:
    content = bytes(range(40))
    ended: list[tuple[int, bool]] = []
    wanted = sent = b""

    class Socket:
        def send(self, data: memoryview) -> int:
            nonlocal sent
            sent += data[:most]
            return len(data[:most])

    def send() -> None:
        part = outgoing.first_file()
        if part is None:
            with outgoing.first() as first:
                count = sock.send(first)
        else:
            count = part.send(sock)
        outgoing.drop(count)

    sock: Any = Socket()
    outgoing = SendBuffer()
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.flush()
        parts = itertools.count()
        for kind, value in steps:
            if kind == "bytes":
                outgoing.add(value, 0)
                wanted += value
            elif kind == "file":
                number = next(parts)
                part = FilePart(file.fileno(), 0, value, "made", lambda is_sent, n=number: ended.append((n, is_sent)))  # type: ignore[misc]
                part.keep()
                outgoing.add_file(part)
                wanted += content[:value]
            else:
                most = value
                if len(outgoing):
                    send()
            assert len(outgoing) == len(wanted) - len(sent)
            assert outgoing.memory_bytes <= len(outgoing)
        # What is left: all of it, or nothing.
        is_sent = len(steps) % 2 == 0
        most = 100
        while is_sent and outgoing:
            send()
        outgoing.abandon()
    assert sent == wanted[: len(sent)]
    assert not is_sent or sent == wanted
    # Each file ends once, in order; those that were sent before those that were not.
    assert [number for number, _ in ended] == list(range(next(parts)))
    assert [was_sent for _, was_sent in ended] == sorted((was_sent for _, was_sent in ended), reverse=True)


def test_one_send_is_limited() -> None:
    outgoing = SendBuffer()
    outgoing.add(bytes(1 << 20), 0)
    with outgoing.first() as first:
        assert len(first) == 256 * 1024
