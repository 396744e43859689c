"""What the setting `framing` accepts, and how it is shown."""

from __future__ import annotations

import tomllib

import pytest

from reactorhost.config.framing_value import FRAMING
from reactorhost.config.values import InvalidValueError


@pytest.mark.parametrize("largest", ["lots", 0])
def test_the_size_in_the_table_of_a_framing_is_named(largest: object) -> None:
    with pytest.raises(InvalidValueError, match="has a max_size that must be "):
        FRAMING.read({"kind": "lines", "max_size": largest})


@pytest.mark.parametrize(
    ("framing", "shown"),
    [
        (None, "-"),
        ("lines", "lines"),
        (
            {"kind": "made", "end": "\r\n", "max_size": 1024, "strict": True, "origins": ["a", 'b"']},
            r'{ kind = "made", end = "\r\n", max_size = 1024, strict = true, origins = ["a", "b\""] }',
        ),
    ],
)
def test_a_framing_is_shown_as_it_is_written_in_a_file(framing: object, shown: str) -> None:
    assert FRAMING.show(framing) == shown
    if isinstance(framing, dict):
        assert tomllib.loads(f"framing = {shown}")["framing"] == framing
