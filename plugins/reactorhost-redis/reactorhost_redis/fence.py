"""Holds what is published until the subscriptions that were requested before it are confirmed.

They go on another connection, and the server could handle them in the other order. A worker that subscribes to the
topic of an answer, and then publishes the question, would miss the answer; a member that has just joined a group would
miss what others send it because they see it there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any


class Fence:
    """Counts the changes of subscriptions, and calls functions in order when those before them are confirmed."""

    def __init__(self) -> None:
        self._changes = 0
        self._confirmed_changes = 0
        self._names_sent = 0
        self._names_confirmed = 0
        # Names that have to be confirmed, and the changes that are confirmed then.
        self._marks: deque[tuple[int, int]] = deque()
        self._held: deque[tuple[int, Callable[..., object], tuple[Any, ...]]] = deque()
        self._removed = False

    def change(self) -> None:
        """Note a change, which is sent later."""
        self._changes += 1

    def sent(self, names: int, *, all_changes: bool) -> None:
        """Note that names were sent, which will be confirmed, and whether these were the last of all changes so far."""
        self._names_sent += names
        if all_changes:
            self._marks.append((self._names_sent, self._changes))
            self._release()

    def confirmed(self) -> None:
        """Note the confirmation of a name."""
        self._names_confirmed += 1
        self._release()

    def open(self) -> None:
        """Hold nothing of what is there: the connection broke, and nothing will be confirmed."""
        self._marks.clear()
        self._names_confirmed = self._names_sent
        self._marks.append((self._names_sent, self._changes))
        self._release()

    def remove(self) -> None:
        """Hold nothing from now on: the worker is about to exit, and what is held would be lost."""
        self._removed = True
        self.open()

    def call(self, function: Callable[..., object], *args: Any) -> None:
        """Call a function, now or after what is held."""
        if self._removed or self._confirmed_changes == self._changes:
            function(*args)
        else:
            self._held.append((self._changes, function, args))

    def _release(self) -> None:
        while self._marks and self._marks[0][0] <= self._names_confirmed:
            self._confirmed_changes = self._marks.popleft()[1]
        while self._held and self._held[0][0] <= self._confirmed_changes:
            _, function, args = self._held.popleft()
            function(*args)
