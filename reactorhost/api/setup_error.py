"""What a plugin raises when the operator has to change something."""

from __future__ import annotations


class SetupError(ValueError):
    """A plugin cannot start with its options, or in its surroundings; the text says what to change.

    Raised in `options`, `configure` or `worker_start`, it is shown without a traceback.
    """

    # The name by which plugins import it.
    __module__ = "reactorhost"
