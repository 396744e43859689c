"""Context variables: each connection has a context of its own, in which its hooks and timers run.

The host's own code runs outside of these contexts, so that nothing that a plugin sets for one client is visible to
another. A context cannot be entered twice: what runs in one must only schedule other calls of the same connection.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol


class HookRunner(Protocol):
    """Calls a hook of a connection."""

    def run(self, function: Callable[..., Any], /, *args: Any) -> Any:
        """Return what `function(*args)` returns."""


class DirectRunner:
    """Calls hooks of a service with async hooks: they only start a task, which enters the context by itself."""

    def run(self, function: Callable[..., Any], /, *args: Any) -> Any:
        """Return what `function(*args)` returns."""
        return function(*args)


DIRECT = DirectRunner()
