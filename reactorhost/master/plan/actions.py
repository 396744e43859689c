"""What the roster can ask the master to do."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Open:
    """Bind the listeners of a new slot, without listening yet."""

    slot: int


@dataclass(frozen=True, slots=True)
class Close:
    """Close the listeners of a slot that never served."""

    slot: int


@dataclass(frozen=True, slots=True)
class Spawn:
    """Fork a worker for a slot."""

    slot: int
    generation: int


@dataclass(frozen=True, slots=True)
class Drain:
    """Order a worker to leave once its connections ended; `final`: nobody accepts after it."""

    pid: int
    seconds: float
    final: bool


@dataclass(frozen=True, slots=True)
class LeaveNow:
    """Signal a worker to leave at once."""

    pid: int


@dataclass(frozen=True, slots=True)
class Abort:
    """Signal a worker to write its stack and die."""

    pid: int
    why: str


@dataclass(frozen=True, slots=True)
class Kill:
    """Kill a worker."""

    pid: int
    why: str


@dataclass(frozen=True, slots=True)
class Adopt:
    """Hand the listeners of a slot without a worker to another slot's worker."""

    slot: int
    pid: int


@dataclass(frozen=True, slots=True)
class Release:
    """Take the listeners of a slot back from the worker that adopted them."""

    slot: int
    pid: int


@dataclass(frozen=True, slots=True)
class Steer:
    """Keep new connections away from the slots that leave."""

    leaving: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Retire:
    """Close the listeners of a slot that left, if their queues are certainly empty."""

    slot: int
    adopter: int | None


Action = Open | Close | Spawn | Drain | LeaveNow | Abort | Kill | Adopt | Release | Steer | Retire
