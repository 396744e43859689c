"""The keys that a worker wants."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reactorhost.bus.names import matches
from reactorhost.worker.bus.wanted_keys import WantedKeys

_KEYS = st.text("ab*", max_size=3)


@given(st.lists(st.tuples(st.booleans(), _KEYS)), st.lists(_KEYS))
def test_a_key_is_in_it_if_a_pattern_matches(changes: list[tuple[bool, str]], keys: list[str]) -> None:
    wanted, expected = WantedKeys(), dict[str, None]()
    for adds, pattern in changes:
        if adds:
            wanted.add(pattern)
            expected[pattern] = None
        else:
            wanted.remove(pattern)
            expected.pop(pattern, None)
    assert list(wanted.patterns) == list(expected)
    for key in keys:
        assert (key in wanted) == (key in expected or any(matches(pattern, key) for pattern in expected))
