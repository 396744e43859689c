"""The actions that the planner can decide on."""

from __future__ import annotations

import signal
from dataclasses import dataclass

from reactorhost.ipc.moments import Moment


@dataclass(frozen=True, slots=True)
class Open:
    """Bind the listeners of a new slot, without listening yet."""

    slot: int


@dataclass(frozen=True, slots=True)
class Close:
    """Close the listeners of a slot that clients never reached."""

    slot: int


@dataclass(frozen=True, slots=True)
class Move:
    """Move the listeners of a service from `slots` to the slot `to`, and let the workers `pids` close their copies.

    Without `to`, clients never reached the listeners: close them.
    """

    service: str
    slots: tuple[int, ...]
    to: int | None
    pids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Spawn:
    """Fork a worker for a slot."""

    slot: int
    generation: int


@dataclass(frozen=True, slots=True)
class Drain:
    """Order a worker to leave once its connections ended; `final`: no worker accepts after it."""

    pid: int
    seconds: float
    final: bool


@dataclass(frozen=True, slots=True)
class Signal:
    """Send a worker QUIT, to leave at once, or ABRT (it writes its stack) or KILL with the reason for the log."""

    pid: int
    number: signal.Signals
    why: str = ""


@dataclass(frozen=True, slots=True)
class Adopt:
    """Pass the listeners of a slot without a ready worker to another slot's worker."""

    slot: int
    pid: int


@dataclass(frozen=True, slots=True)
class Release:
    """Order the adopter of a slot to close its copies of the listeners."""

    slot: int
    pid: int


@dataclass(frozen=True, slots=True)
class Steer:
    """Steer new connections away from the slots that leave; empty when none does."""

    leaving: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Avoid:
    """Steer new connections past the slots whose workers are full; empty when none is, or all are."""

    full: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Refuse:
    """Let a worker refuse the clients of these services while it is full, and those of all others wait."""

    pid: int
    services: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Retire:
    """Close the listeners of a slot that left, the adopter's copies first, if their queues are empty."""

    slot: int
    adopter: int | None


@dataclass(frozen=True, slots=True)
class Lead:
    """Appoint the leader; `since` is up to when earlier leaders have started the jobs of the host."""

    pid: int
    since: Moment
    why: str


@dataclass(frozen=True, slots=True)
class Count:
    """Report the number of wanted workers to a worker."""

    pid: int
    count: int


Action = Open | Close | Move | Spawn | Drain | Signal | Adopt | Release | Steer | Avoid | Refuse | Retire | Lead | Count
