"""Values by pattern of keys."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reactorhost.bus.names import matches
from reactorhost.bus.patterns import PatternMap

PATTERNS = st.from_regex(r"[ab]{0,3}\*?", fullmatch=True)


@given(st.lists(st.tuples(st.booleans(), PATTERNS)), st.text("ab", max_size=4))
def test_the_values_of_a_key_are_those_of_the_patterns_that_it_fits(changes: list[tuple[bool, str]], key: str) -> None:
    found, expected = PatternMap[str](), dict[str, str]()
    for sets, pattern in changes:
        if sets:
            found[pattern] = expected[pattern] = f"value of {pattern}"
        elif pattern in found:
            del found[pattern], expected[pattern]
    assert list(found) == list(expected)
    assert found.values() == list(expected.values())
    assert sorted(found.matching(key)) == sorted(value for each, value in expected.items() if matches(each, key))


def test_the_value_of_the_key_itself_comes_first() -> None:
    found = PatternMap[int]()
    found["a*"] = 1
    found["*"] = 2
    found["ab"] = 3
    assert found.matching("ab")[0] == 3
