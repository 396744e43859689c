"""Dataclasses as JSON: what was written is read, also by a version with other fields."""

from __future__ import annotations

import enum
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, make_dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactorhost.ipc.typed_json import from_json, to_json


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclass(slots=True)
class Inner:
    number: int
    path: Path | None = None


@dataclass(slots=True)
class Outer:
    colour: Colour
    data: bytes
    seconds: float
    pair: tuple[int, str]
    many: tuple[Inner, ...] = ()
    names: frozenset[str] = frozenset()
    by_number: dict[int, Inner] = field(default_factory=dict)
    by_name: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    by_pair: dict[tuple[str, str], int] = field(default_factory=dict)
    counted: Counter[Colour] = field(default_factory=Counter)
    mixed: int | str | None = None
    rows: Sequence[Any] = ()


@given(
    st.builds(
        Outer,
        data=st.binary(),
        seconds=st.floats(allow_nan=False),
        many=st.lists(st.builds(Inner, path=st.just(Path("/a b")) | st.none())).map(tuple),
        names=st.frozensets(st.text()),
        by_number=st.dictionaries(st.integers(), st.builds(Inner, path=st.none())),
        by_name=st.dictionaries(st.text(), st.tuples(st.integers(), st.text())),
        counted=st.dictionaries(st.sampled_from(Colour), st.integers()).map(Counter),
        by_pair=st.dictionaries(st.tuples(st.text(), st.text()), st.integers()),
        rows=st.lists(st.dictionaries(st.text(), st.lists(st.integers() | st.none()))),
    )
)
def test_what_was_written_is_read(value: Outer) -> None:
    assert from_json(Outer, json.loads(json.dumps(to_json(value)))) == value


def test_fields_of_another_version_are_ignored_or_have_their_default() -> None:
    old = make_dataclass("Inner", [("number", int), ("removed", str)])
    assert from_json(Inner, to_json(old(7, "gone"))) == Inner(7, None)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Inner, {}),
        (Inner, {"number": "7"}),
        (Inner, {"number": True}),
        (Inner, []),
        (Inner, None),
        (Colour, "green"),
        (tuple[int, str], [1]),
        (dict[int, str], [[1]]),
        (frozenset[str], [1]),
        (bytes, 7),
        (bytes, "\u20ac"),
        (int | None, "7"),
    ],
)
def test_a_value_of_another_type_is_refused(kind: Any, value: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  the message names a type
        from_json(kind, value)
