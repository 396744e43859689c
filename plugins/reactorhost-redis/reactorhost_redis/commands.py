"""Commands as bytes."""

from __future__ import annotations

import hiredis


def packed(*words: str | int | bytes) -> bytes:
    """Return a command as it is sent."""
    # hiredis types the argument as a tuple of one word.
    command: bytes = hiredis.pack_command(words)  # type: ignore[arg-type]
    return command
