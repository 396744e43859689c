"""The field for what blocks a loop: any text fits, and a reader never sees half of a change."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies

from reactorhost.ipc.stall import STALL_BYTES, Stall, read_stall, write_stall


def test_long_texts_are_cut_and_the_line_of_a_place_is_kept() -> None:
    memory = memoryview(bytearray(STALL_BYTES))
    write_stall(memory, 0, Stall("p" * 600, "h" * 600, "/" * 600 + "made.py:3", 1.5, "c" * 600))
    found = read_stall(memory, 0)
    assert found is not None
    assert (found.plugin, found.hook, found.where[-10:]) == ("p" * 64, "h" * 64, "/made.py:3")
    assert found.peer == "c" * 64


@pytest.mark.parametrize("peer", [None, "10.0.0.7:4711"])
def test_the_client_is_stored_behind_the_place(peer: str | None) -> None:
    memory = memoryview(bytearray(STALL_BYTES))
    stall = Stall("made", "receive", "made.py:3", 1.5, peer)
    write_stall(memory, 0, stall)
    assert read_stall(memory, 0) == stall


def test_a_field_without_a_client_is_read_as_an_earlier_version_has_written_it() -> None:
    memory = memoryview(bytearray(STALL_BYTES))
    write_stall(memory, 0, Stall("made", "receive", "made.py:3", 1.5))
    text = b"made\0receive\0made.py:3"
    memory[8:] = text.ljust(STALL_BYTES - 8, b"\0")
    assert read_stall(memory, 0) == Stall("made", "receive", "made.py:3", 1.5)


@given(strategies.text(), strategies.text(), strategies.text(), strategies.integers(0, STALL_BYTES))
def test_any_text_is_stored_in_the_field_alone(plugin: str, hook: str, where: str, at: int) -> None:
    memory = memoryview(bytearray(b"x" * 2 * STALL_BYTES))
    write_stall(memory, at, Stall(plugin, hook, where, 1.5))
    found = read_stall(memory, at)
    assert found is not None
    assert found.since == 1.5
    assert bytes(memory[:at]) + bytes(memory[at + STALL_BYTES :]) == b"x" * STALL_BYTES


def test_a_reader_during_a_write_sees_no_stall() -> None:
    seen: list[Stall | None] = []

    class Memory(bytearray):
        def __setitem__(self, key: slice, value: bytes) -> None:  # type: ignore[override]
            super().__setitem__(key, value)
            seen.append(read_stall(memoryview(bytes(self)), 0))

    memory = Memory(STALL_BYTES)
    last = Stall("made", "receive", "made.py:3", 1.5)
    for each in (Stall("other", "close", "other.py:9", 0.5), last):
        write_stall(memory, 0, each)  # type: ignore[arg-type]
    assert [each for each in seen if each not in (None, last)] == [Stall("other", "close", "other.py:9", 0.5)]
    assert seen[-1] == last
