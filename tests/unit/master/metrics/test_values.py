"""Values of equal labels are one series, and what is unknown is none."""

from __future__ import annotations

from reactorhost.master.metrics.catalog import CONNECTIONS, WORKER_LAG
from reactorhost.master.metrics.values import Values


def test_an_unknown_value_is_left_out() -> None:
    values = Values()
    values.set(CONNECTIONS, None, 0)
    values.add(CONNECTIONS, None, 0)
    values.raise_to(CONNECTIONS, None, 0)
    assert values.numbers == {}


def test_equal_labels_have_one_value() -> None:
    values = Values()
    for number in (3, 5, 2):
        values.add(CONNECTIONS, number, 0)
        values.raise_to(WORKER_LAG, number, 0)
    values.set(CONNECTIONS, 1, "1")
    assert values.numbers == {CONNECTIONS: {("0",): 10, ("1",): 1}, WORKER_LAG: {("0",): 5}}


def test_labels_are_printable() -> None:
    values = Values()
    values.set(CONNECTIONS, 1, "a\nb\x1b[0m\udcff")
    assert list(values.numbers[CONNECTIONS]) == [("a\\nb\\u001b[0m\\udcff",)]
