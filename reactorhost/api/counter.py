"""Metrics of plugins: counters that they add to, beside the gauges that their `stats` hooks return."""

from __future__ import annotations

from typing import Protocol

Number = int | float

VALUE_LIMIT = 2**63
"""The absolute value of a metric is below this: other programs read it as a signed 64-bit integer or a double."""


class Counter:
    """A number that only grows, as `worker.counter(name)` returns it.

    Attributes:
        name: the name that `status` and `top` show.
        value: the sum so far in this worker process.
    """

    __slots__ = ("name", "value")

    def __init__(self, name: str) -> None:
        self.name = name
        self.value: Number = 0

    def __repr__(self) -> str:
        return f"<Counter {self.name} {self.value}>"

    def add(self, n: Number = 1) -> None:
        """Add `n`.

        Raises:
            ValueError: `n` is negative or not a number, or the sum would reach 2**63.
        """
        # Not finite or not a number: these comparisons are false then.
        if not 0 <= n < VALUE_LIMIT - self.value:
            raise ValueError(f"counter {self.name!r} is at {self.value}, and cannot grow by {n!r}")
        self.value += n


class SharedCounter(Protocol):
    """A whole number that only grows, summed over all workers of the host, as `worker.shared_counter` returns it."""

    @property
    def name(self) -> str:
        """The name that `status` and `top` show."""

    @property
    def value(self) -> int:
        """The sum over all workers, those that have ended included; it may lack what others have just added."""

    def add(self, n: int = 1) -> None:
        """Add `n`.

        Raises:
            TypeError: `n` is not a whole number.
            ValueError: `n` is negative, or the sum of this worker would reach 2**63.
        """
