"""Values by key or by pattern of keys; how long it takes to find those of a key does not depend on how many there are.

A pattern is a key, or the beginning of keys with a `*` behind it (`bus.names`). One that ends with a `*` is found by
the beginning of the key: one look for each length that such patterns have.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

V = TypeVar("V")


class PatternMap(Generic[V]):
    """A mapping of patterns to values, in the order in which they were set first."""

    __slots__ = ("_lengths", "_values")

    def __init__(self) -> None:
        self._values: dict[str, V] = {}
        # How many patterns have so many characters before their `*`.
        self._lengths: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __contains__(self, pattern: str) -> bool:
        return pattern in self._values

    def __getitem__(self, pattern: str) -> V:
        return self._values[pattern]

    def __setitem__(self, pattern: str, value: V) -> None:
        if pattern not in self._values and pattern.endswith("*"):
            length = len(pattern) - 1
            self._lengths[length] = self._lengths.get(length, 0) + 1
        self._values[pattern] = value

    def __delitem__(self, pattern: str) -> None:
        del self._values[pattern]
        if pattern.endswith("*"):
            length = len(pattern) - 1
            self._lengths[length] -= 1
            if not self._lengths[length]:
                del self._lengths[length]

    def get(self, pattern: str) -> V | None:
        """Return the value of this very pattern, None without one."""
        return self._values.get(pattern)

    def values(self) -> list[V]:
        """Return all values."""
        return list(self._values.values())

    def matching(self, key: str) -> list[V]:
        """Return the values of the patterns that a key fits, that of the key itself first."""
        values = self._values
        found = [values[key]] if key in values else []
        for length in self._lengths:
            pattern = f"{key[:length]}*"
            # A shorter key would yield the pattern of another length.
            if length <= len(key) and pattern in values:
                found.append(values[pattern])
        return found
