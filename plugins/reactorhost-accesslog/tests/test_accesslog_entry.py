"""An entry is one line of a fixed number of words, with every possible name of the peer."""

from __future__ import annotations

import dataclasses
import json
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from reactorhost_accesslog.entry import Entry, as_json, for_people, text

if TYPE_CHECKING:
    from collections.abc import Iterator

ENTRY = Entry(
    ended_at=1_795_416_773.123,
    service="default",
    id=17,
    pid=4243,
    peer="127.0.0.1:53422",
    seconds=0.0041,
    bytes_in=32,
    bytes_out=32,
    reason="peer",
)


def test_text() -> None:
    assert text(ENTRY) == (
        b"2026-11-23T06:52:53.123Z default 127.0.0.1:53422 0.004s in=32 out=32 reason=peer id=17 pid=4243\n"
    )


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "CET-1")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("berlin")
@pytest.mark.parametrize(
    ("width", "lines"),
    [
        (0, ["07:52:53.123   worker 3  default 127.0.0.1:53422 0.004s in=32 out=32 reason=peer id=17"]),
        (
            80,
            [
                "07:52:53.123   worker 3  default 127.0.0.1:53422 0.004s in=32 out=32 reason=peer",
                "                         id=17",
            ],
        ),
        (
            40,
            [
                "07:52:53.123   worker 3  default",
                "    127.0.0.1:53422 0.004s in=32 out=32",
                "    reason=peer id=17",
            ],
        ),
    ],
)
def test_on_a_terminal_it_is_aligned_with_the_log(width: int, lines: list[str]) -> None:
    assert for_people(ENTRY, 3, width).decode().splitlines() == lines


@pytest.mark.parametrize(
    ("ended_at", "expected"),
    [(0.0, b"1970-01-01T00:00:00.000Z"), (59.9996, b"1970-01-01T00:01:00.000Z"), (1.9994, b"1970-01-01T00:00:01.999Z")],
)
def test_rounded_milliseconds_carry_into_the_second(ended_at: float, expected: bytes) -> None:
    assert text(dataclasses.replace(ENTRY, ended_at=ended_at)).split()[0] == expected


@given(st.text())
@example("")
@example("unix:a b")
@example("unix:a\n2026-11-23T06:52:53.123Z forged")
def test_no_peer_name_can_forge_a_line_or_add_words(peer: str) -> None:
    line = text(dataclasses.replace(ENTRY, peer=peer))
    assert len(line.split()) == len(text(ENTRY).split())
    assert len(line.decode().splitlines()) == 1


@given(st.text())
def test_json_keeps_every_peer_name_unchanged(peer: str) -> None:
    line = as_json(dataclasses.replace(ENTRY, peer=peer))
    assert line.count(b"\n") == 1
    assert json.loads(line)["peer"] == peer


@given(st.text(min_size=1))
def test_different_peer_names_are_different_words(peer: str) -> None:
    other = peer + "'"
    assert text(dataclasses.replace(ENTRY, peer=peer)) != text(dataclasses.replace(ENTRY, peer=other))
