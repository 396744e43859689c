"""The keys and patterns of keys that a worker wants, and whether a key is one of them."""

from __future__ import annotations

from collections.abc import Iterable


class WantedKeys:
    """A set of keys and patterns; the time to look a key up does not depend on how many there are."""

    def __init__(self) -> None:
        self._patterns: dict[str, None] = {}
        # How many patterns end after so many characters.
        self._lengths: dict[int, int] = {}

    @property
    def patterns(self) -> Iterable[str]:
        """The keys and patterns, in the order in which they were added."""
        return self._patterns

    def add(self, pattern: str) -> None:
        """Add a key, or a pattern with a `*` at its end."""
        if pattern not in self._patterns:
            self._patterns[pattern] = None
            if pattern.endswith("*"):
                length = len(pattern) - 1
                self._lengths[length] = self._lengths.get(length, 0) + 1

    def remove(self, pattern: str) -> None:
        """Remove a key or pattern."""
        if pattern in self._patterns:
            del self._patterns[pattern]
            if pattern.endswith("*"):
                length = len(pattern) - 1
                self._lengths[length] -= 1
                if not self._lengths[length]:
                    del self._lengths[length]

    def __contains__(self, key: str) -> bool:
        return key in self._patterns or any(f"{key[:length]}*" in self._patterns for length in self._lengths)
