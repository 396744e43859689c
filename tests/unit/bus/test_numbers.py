"""Tests of the numbers of messages."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reactorhost.bus.numbers import Arrival, Numbers, ReceivedNumbers

SENDER = b"sender"


def test_each_key_is_counted_from_one() -> None:
    numbers = Numbers()
    assert [numbers.next(key) for key in ("a", "a", "b", "a")] == [1, 2, 1, 3]


def test_a_key_that_was_forgotten_repeats_no_number() -> None:
    numbers = Numbers(most=2)
    for _ in range(5):
        numbers.next("a")
    used = {numbers.next("b"), numbers.next("c")}
    assert numbers.next("a") == 6
    assert used == {1}
    # The keys used last are those that are remembered.
    assert numbers.next("c") == 2


def test_a_message_is_admitted_once() -> None:
    received = ReceivedNumbers()
    assert [received.admits("a", "x", number) for number in (1, 2, 2, 1, 4, 3)] == [
        True,
        True,
        False,
        False,
        True,
        False,
    ]
    assert received.admits("a", "y", 1)
    assert received.admits("b", "x", 1)


def test_messages_without_a_number_are_always_admitted() -> None:
    received = ReceivedNumbers()
    assert received.admits("a", "x", 0)
    assert received.admits("a", "x", 0)


def test_a_bounded_number_of_keys_is_remembered() -> None:
    received = ReceivedNumbers(most=2)
    for key in ("a", "b", "c"):
        received.admits(key, "x", 1)
    assert not received.admits("b", "x", 1)
    assert not received.admits("c", "x", 1)
    assert received.admits("a", "x", 1)


def receive(seen: ReceivedNumbers, number: int, key: str = "k", *, begins: bool = False) -> Arrival:
    arrival = seen.arrival(key, SENDER, number, begins=begins)
    if arrival is not Arrival.REPEATED:
        seen.note(key, SENDER, number)
    return arrival


def test_the_first_message_is_expected_whatever_its_number() -> None:
    assert receive(ReceivedNumbers(), 57) is Arrival.NEXT


def test_a_missing_number_is_a_gap_once() -> None:
    seen = ReceivedNumbers()
    assert [receive(seen, number) for number in (1, 2, 4, 5)] == [
        Arrival.NEXT,
        Arrival.NEXT,
        Arrival.AFTER_GAP,
        Arrival.NEXT,
    ]


def test_a_number_that_was_received_is_not_received_again() -> None:
    seen = ReceivedNumbers()
    assert [receive(seen, number) for number in (3, 3, 2)] == [Arrival.NEXT, Arrival.REPEATED, Arrival.REPEATED]


def test_senders_and_keys_do_not_mix() -> None:
    seen = ReceivedNumbers()
    seen.note("k", b"other", 5)
    seen.note("j", SENDER, 6)
    assert receive(seen, 1) is Arrival.NEXT
    assert (seen.last("k", SENDER), seen.last("k", b"other"), seen.last("x", SENDER)) == (1, 5, None)


def test_after_an_interruption_the_next_message_is_expected_and_then_gaps_count_again() -> None:
    seen = ReceivedNumbers()
    receive(seen, 1)
    seen.interrupt()
    assert [receive(seen, number) for number in (1, 9, 11)] == [Arrival.REPEATED, Arrival.NEXT, Arrival.AFTER_GAP]


def test_a_key_that_is_forgotten_and_known_again_begins() -> None:
    seen = ReceivedNumbers()
    receive(seen, 1)
    seen.forget("k")
    assert seen.known_keys() == []
    assert receive(seen, 7) is Arrival.NEXT


@given(st.lists(st.sampled_from("abcd")), st.integers(1, 3), st.integers(1, 3))
def test_whatever_both_sides_forget_nothing_is_a_gap_or_repeated(
    keys: list[str], sent_keys: int, seen_keys: int
) -> None:
    sent, seen = Numbers(sent_keys), ReceivedNumbers(seen_keys)
    for key in keys:
        begins = sent.last(key) is None
        number = sent.next(key)
        assert receive(seen, number, key, begins=begins) is Arrival.NEXT
        assert len(seen.known_keys()) <= seen_keys


def test_what_is_remembered_of_ended_publishers_is_bounded() -> None:
    seen = ReceivedNumbers(3)
    for publisher in range(5):
        seen.note("k", publisher, 7)
    assert [seen.last("k", publisher) for publisher in range(5)] == [None, None, 7, 7, 7]
    # Of the key that was used last the others are forgotten later.
    seen.note("j", 0, 1)
    seen.note("k", 4, 8)
    seen.note("k", 5, 1)
    assert seen.known_keys() == ["k"]
    assert [seen.last("k", publisher) for publisher in (3, 4, 5)] == [7, 8, 1]
