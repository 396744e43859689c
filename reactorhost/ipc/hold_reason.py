"""What a plugin holds a draining worker for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HoldReason:
    """One hold of a worker."""

    plugin: str
    reason: str

    def __str__(self) -> str:
        return f"held by {self.plugin}: {self.reason}"
