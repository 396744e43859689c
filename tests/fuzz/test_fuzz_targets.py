"""Any bytes, and damaged valid ones, to every parser that strangers reach; `nox -s fuzz` does it for minutes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzz_targets import SEEDS, TARGETS


@st.composite
def damaged(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """Return a valid input with parts removed, repeated, or replaced by others."""
    data = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(0, 6))):
        begin = draw(st.integers(0, len(data)))
        end = draw(st.integers(begin, min(len(data), begin + 12)))
        part = draw(st.one_of(st.binary(max_size=8), st.just(data[begin:end] * 2), st.sampled_from(seeds)))
        data = data[:begin] + part + data[end:]
    return data


@pytest.mark.parametrize("name", TARGETS)
@given(st.data())
def test_any_bytes_are_accepted_or_refused_as_promised(name: str, data: st.DataObject) -> None:
    TARGETS[name](data.draw(st.one_of(damaged(SEEDS[name]), st.binary(max_size=200))))


@pytest.mark.parametrize("name", TARGETS)
def test_the_valid_inputs_pass(name: str) -> None:
    for seed in SEEDS[name]:
        TARGETS[name](seed)
