from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reactorhost.bus.names import matches
from reactorhost.worker.bus.peers.routes import Routes


def routes(**patterns: list[str]) -> Routes[str]:
    made: Routes[str] = Routes()
    for peer, wanted in patterns.items():
        made.add_peer(peer)
        made.known(peer)
        for pattern in wanted:
            made.add(pattern, peer)
    return made


def test_a_message_goes_to_the_peers_that_want_its_key() -> None:
    made = routes(a=["g:x", "t:*"], b=["g:x", "g:y"], c=[])
    assert list(made.targets("g:x")) == ["a", "b"]
    assert list(made.targets("g:y")) == ["b"]
    assert list(made.targets("t:news")) == ["a"]
    assert list(made.targets("g:z")) == []


def test_a_peer_that_wants_a_key_twice_is_a_target_once() -> None:
    assert list(routes(a=["g:x", "g:*", "*"]).targets("g:x")) == ["a"]


def test_a_peer_of_which_nothing_is_known_gets_everything() -> None:
    made = routes(a=["g:x"])
    made.add_peer("b")
    assert list(made.targets("g:x")) == ["a", "b"]
    assert list(made.targets("t:y")) == ["b"]
    made.known("b")
    assert list(made.targets("t:y")) == []


def test_a_peer_that_has_left_is_not_a_target() -> None:
    made = routes(a=["g:x", "g:*"], b=["g:x"])
    made.add_peer("c")
    made.remove_peer("a")
    made.remove_peer("c")
    assert list(made.targets("g:x")) == ["b"]
    made.remove_peer("b")
    # Nothing is left of it: a worker may see many others in its time.
    assert not any(vars(made).values())


PATTERNS = st.sampled_from(["g:a", "g:ab", "g:b", "g:*", "g:a*", "*", "t:*"])


@given(st.lists(st.tuples(st.sampled_from("pq"), PATTERNS, st.booleans())))
def test_targets_are_those_with_a_matching_pattern(steps: list[tuple[str, str, bool]]) -> None:
    made = routes(p=[], q=[])
    wanted: dict[str, set[str]] = {"p": set(), "q": set()}
    for peer, pattern, add in steps:
        if add:
            made.add(pattern, peer)
            wanted[peer].add(pattern)
        else:
            made.remove(pattern, peer)
            wanted[peer].discard(pattern)
    for key in ("g:a", "g:ab", "g:abc", "g:b", "t:a"):
        expected = {peer for peer, patterns in wanted.items() if any(matches(each, key) for each in patterns)}
        assert {*made.targets(key)} == expected
