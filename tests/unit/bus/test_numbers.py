"""Tests of the numbers of messages."""

from __future__ import annotations

from reactorhost.bus.numbers import Numbers, ReceivedNumbers


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
    assert [received.admits("x", "a", number) for number in (1, 2, 2, 1, 4, 3)] == [
        True,
        True,
        False,
        False,
        True,
        False,
    ]
    assert received.admits("y", "a", 1)
    assert received.admits("x", "b", 1)


def test_messages_without_a_number_are_always_admitted() -> None:
    received = ReceivedNumbers()
    assert received.admits("x", "a", 0)
    assert received.admits("x", "a", 0)


def test_a_bounded_number_of_keys_is_remembered() -> None:
    received = ReceivedNumbers(most=2)
    for key in ("a", "b", "c"):
        received.admits("x", key, 1)
    assert not received.admits("x", "b", 1)
    assert not received.admits("x", "c", 1)
    assert received.admits("x", "a", 1)
