"""What a framing copies and searches is linear in what a peer sends."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

from framed_streams import Built, bytewise, taken
from reactorhost.framing import (
    Delimited,
    Fixed,
    LengthPrefixed,
    Lines,
    sized,
    splitter,
)


class Counting(bytearray):
    """A bytearray that counts the bytes copied or searched."""

    work: ClassVar[int] = 0

    def __init__(self, data: bytes) -> None:
        Counting.work += len(data)
        super().__init__(data)

    def __iadd__(self, data: Any) -> Any:  # type: ignore[misc]  # no __add__ is wanted
        Counting.work += len(data)
        return super().__iadd__(data)

    def __bytes__(self) -> bytes:
        Counting.work += len(self)
        return bytes(memoryview(self))

    def find(self, sub: Any, start: Any = 0, end: Any = None) -> int:
        Counting.work += len(self) - start
        return super().find(sub, start)


SLOW_PEERS: Mapping[str, tuple[Built, types.ModuleType, int]] = {
    "lines": (Lines(), splitter, 1),
    "delimited": (Delimited(b"ababac"), splitter, 6),
    "length_prefixed": (LengthPrefixed(), sized, 1),
    "fixed": (Fixed(10_000), sized, 1),
}


@pytest.mark.parametrize("kind", SLOW_PEERS)
def test_work_is_linear_in_the_bytes_of_a_peer_that_sends_byte_by_byte(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    framing, module, looks = SLOW_PEERS[kind]
    monkeypatch.setattr(module, "bytearray", Counting, raising=False)
    monkeypatch.setattr(Counting, "work", 0)
    message = b"ab" * 5000
    stream = framing.frame(message) * 3
    assert taken(framing, bytewise(stream)) == ([message] * 3, None)
    # Every byte is appended once, searched once for each byte of a delimiter, and copied out once.
    assert len(stream) <= Counting.work <= (looks + 3) * len(stream)


def test_a_large_batch_is_copied_only_a_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    cut = splitter.Splitter._split
    left: list[int] = []

    def counted(self: splitter.Splitter, most: int) -> list[bytes]:
        left.append(len(self.tail))
        return cut(self, most)

    monkeypatch.setattr(splitter.Splitter, "_split", counted)
    assert len(list(Lines().feed(b"\n" * 65536))) == 65536
    assert len(left) <= 18


@pytest.mark.parametrize("framing", [Lines(), Delimited(b"\n"), Fixed(1), LengthPrefixed("B")], ids=repr)
def test_taking_one_message_of_a_large_batch_splits_off_few_pieces(framing: Built) -> None:
    stream = b"\n" * 65536 if not isinstance(framing, LengthPrefixed) else b"\0" * 65536
    batch = iter(framing.feed(stream))
    next(batch)
    cut = len(list(getattr(framing, "_splitter")._pieces)) if hasattr(framing, "_splitter") else 1  # noqa: B009
    assert cut <= 64
