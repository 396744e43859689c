"""How a connection ends: a table of states and events, and a deadline that progress moves.

Nothing here makes a system call or reads a clock.
"""

from __future__ import annotations

import enum

from reactorhost.api.close_reason import CloseReason

_CHECKS_PER_TIMEOUT = 4


class CloseState(enum.Enum):
    """How far the end of a connection has come."""

    OPEN = "open"
    FLUSHING = "flushing"
    LINGERING = "lingering"
    CLOSED = "closed"


# For the code of every message: see `states`.
OPEN = CloseState.OPEN
FLUSHING = CloseState.FLUSHING
LINGERING = CloseState.LINGERING
CLOSED = CloseState.CLOSED


class CloseEvent(enum.Enum):
    """What moves a connection towards its end."""

    CLOSE = enum.auto()
    """The plugin or the host closes the connection."""
    ALL_SENT = enum.auto()
    """The kernel has accepted the last byte of the send buffer."""
    SEND_FAILED = enum.auto()
    """Nothing can be sent any more."""
    PEER_EOF = enum.auto()
    """The client has ended its half."""
    SERVED = enum.auto()
    """The client has ended its half, and has all answers to what it sent."""
    RESET = enum.auto()
    """The client has broken the connection, and nothing that it sent waits."""
    ABORT = enum.auto()
    """The plugin or the host ends the connection at once."""
    DEADLINE = enum.auto()
    """The time without progress is over."""
    LINGER_DEADLINE = enum.auto()
    """The same, and the client has acknowledged everything: it only does not close its half."""


class CloseAction(enum.Enum):
    """What the transport does on a transition."""

    NONE = enum.auto()
    SEND_FIN = enum.auto()
    END = enum.auto()
    """Close the socket, and call the close hooks."""
    RESET = enum.auto()
    """The same, and the client receives a reset."""


_Transitions = dict[CloseEvent, tuple[CloseState, CloseAction]]

_EVERYWHERE: _Transitions = {
    CloseEvent.RESET: (CLOSED, CloseAction.END),
    CloseEvent.ABORT: (CLOSED, CloseAction.RESET),
}

_CHANGES: dict[CloseState, _Transitions] = {
    # A failed send ends the connection only once it is being closed: until then it breaks one half, and the other one
    # is received to its end. The deadline of an open connection belongs to a client that has ended its half.
    OPEN: _EVERYWHERE
    | {
        CloseEvent.CLOSE: (FLUSHING, CloseAction.NONE),
        CloseEvent.SERVED: (CLOSED, CloseAction.END),
        CloseEvent.DEADLINE: (CLOSED, CloseAction.END),
    },
    FLUSHING: _EVERYWHERE
    | {
        CloseEvent.ALL_SENT: (LINGERING, CloseAction.SEND_FIN),
        CloseEvent.SEND_FAILED: (CLOSED, CloseAction.END),
        CloseEvent.DEADLINE: (CLOSED, CloseAction.RESET),
    },
    LINGERING: _EVERYWHERE
    | {
        CloseEvent.SEND_FAILED: (CLOSED, CloseAction.END),
        CloseEvent.PEER_EOF: (CLOSED, CloseAction.END),
        CloseEvent.DEADLINE: (CLOSED, CloseAction.RESET),
        CloseEvent.LINGER_DEADLINE: (CLOSED, CloseAction.END),
    },
    CLOSED: {},
}

TRANSITIONS: dict[CloseState, _Transitions] = {
    state: {event: changes.get(event, (state, CloseAction.NONE)) for event in CloseEvent}
    for state, changes in _CHANGES.items()
}
"""The next state and what to do, by state and event."""


class CloseProgress:
    """Why a connection is being closed, and its deadline, which progress moves.

    Progress is bytes that the kernel has accepted or that the client has acknowledged. The kernel reports the latter
    only on request, so the transport checks a few times in each timeout.

    Attributes:
        reason: the reason that the `close` hook receives.
        moves: whether progress moves the deadline.
        progress_at: when the last progress was seen, or the start.
    """

    __slots__ = ("_seconds", "_seen", "moves", "progress_at", "reason")

    def __init__(self, reason: CloseReason) -> None:
        self.reason = reason
        self.moves = True
        self._seconds = 0.0
        self.progress_at = 0.0
        self._seen = (0, 0)

    def start(self, now: float, seconds: float, bytes_out: int, *, moves: bool) -> float:
        """Start the deadline; returns when to check first."""
        self.moves = moves
        self._seconds = seconds
        self.progress_at = now
        self._seen = (bytes_out, 0)
        return self.check_at(now)

    def check_at(self, now: float) -> float:
        """Return when to check next."""
        deadline = self.progress_at + self._seconds
        return min(deadline, now + self._seconds / _CHECKS_PER_TIMEOUT) if self.moves else deadline

    def is_over(self, now: float, bytes_out: int, unacknowledged: int) -> bool:
        """Return whether the deadline has passed; a change of either number since the last check moves it."""
        seen = (bytes_out, unacknowledged)
        if self.moves and seen != self._seen:
            self._seen = seen
            self.progress_at = now
        return now >= self.progress_at + self._seconds
