"""Messages: received bytes become JSON objects."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactorhost.ipc.messages import Message, MessageDecoder

MESSAGES = [{"progress": "slot 0: é漢"}, {"rows": [{"id": 1}, {"id": 2}]}, {"status": 0}]


def test_several_messages_in_one_read_are_all_returned() -> None:
    assert list(MessageDecoder().feed(b'{"progress":"a"}\n{"status":0}\n')) == [{"progress": "a"}, {"status": 0}]


@given(st.lists(st.integers(0, 120), max_size=6))
def test_messages_are_the_same_in_whatever_pieces_they_arrive(cuts: list[int]) -> None:
    data = b"".join(json.dumps(message).encode() + b"\n" for message in MESSAGES)
    decoder = MessageDecoder()
    received: list[Message] = []
    edges = [0, *sorted(cuts), len(data)]
    for start, stop in itertools.pairwise(edges):
        received += decoder.feed(data[start:stop])
    assert received == MESSAGES


@pytest.mark.parametrize("line", [b"nonsense\n", b"[1]\n", b"\xff\n"])
def test_a_line_that_is_not_an_object_ends_the_connection(line: bytes) -> None:
    with pytest.raises(ConnectionError, match="not a JSON object"):
        list(MessageDecoder().feed(line))
