"""Sequence numbers: what is missing is noticed, and nothing else is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reactorhost.bus.numbers import Numbers
from reactorhost.bus.sequences import Arrival, ReceivedSequences

SENDER = b"sender"


def receive(seen: ReceivedSequences, number: int, key: str = "k", *, begins: bool = False) -> Arrival:
    arrival = seen.arrival(key, SENDER, number, begins=begins)
    if arrival is not Arrival.REPEATED:
        seen.note(key, SENDER, number)
    return arrival


def test_the_first_message_is_expected_whatever_its_number() -> None:
    assert receive(ReceivedSequences(), 57) is Arrival.NEXT


def test_a_missing_number_is_a_gap_once() -> None:
    seen = ReceivedSequences()
    assert [receive(seen, number) for number in (1, 2, 4, 5)] == [
        Arrival.NEXT,
        Arrival.NEXT,
        Arrival.AFTER_GAP,
        Arrival.NEXT,
    ]


def test_a_number_that_was_received_is_not_received_again() -> None:
    seen = ReceivedSequences()
    assert [receive(seen, number) for number in (3, 3, 2)] == [Arrival.NEXT, Arrival.REPEATED, Arrival.REPEATED]


def test_senders_and_keys_do_not_mix() -> None:
    seen = ReceivedSequences()
    seen.note("k", b"other", 5)
    seen.note("j", SENDER, 6)
    assert receive(seen, 1) is Arrival.NEXT
    assert (seen.last("k", SENDER), seen.last("k", b"other"), seen.last("x", SENDER)) == (1, 5, None)


def test_after_an_interruption_the_next_message_is_expected_and_then_gaps_count_again() -> None:
    seen = ReceivedSequences()
    receive(seen, 1)
    seen.interrupt()
    assert [receive(seen, number) for number in (1, 9, 11)] == [Arrival.REPEATED, Arrival.NEXT, Arrival.AFTER_GAP]


def test_a_key_that_is_forgotten_and_known_again_begins() -> None:
    seen = ReceivedSequences()
    receive(seen, 1)
    seen.forget("k")
    assert seen.known_keys() == []
    assert receive(seen, 7) is Arrival.NEXT


@given(st.lists(st.sampled_from("abcd")), st.integers(1, 3), st.integers(1, 3))
def test_whatever_both_sides_forget_nothing_is_a_gap_or_repeated(
    keys: list[str], sent_keys: int, seen_keys: int
) -> None:
    sent, seen = Numbers(sent_keys), ReceivedSequences(seen_keys)
    for key in keys:
        begins = sent.last(key) is None
        number = sent.next(key)
        assert receive(seen, number, key, begins=begins) is Arrival.NEXT
        assert len(seen.known_keys()) <= seen_keys
