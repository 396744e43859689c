"""A `BackendLink` that notes what it is called with."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from reactorhost.bus import BackendState


class RecordedLink:
    """What a backend has reported.

    Attributes:
        messages: keys and payloads, in order.
        states: states and reasons, in order.
        losses: keys and counts, in order.
        on_received: called with each message.
    """

    def __init__(self) -> None:
        self.messages: list[tuple[str, bytes]] = []
        self.states: list[tuple[BackendState, str]] = []
        self.losses: list[tuple[Sequence[str] | None, int]] = []
        self.on_received: Callable[[str, bytes], object] = lambda key, payload: None

    @property
    def state(self) -> BackendState:
        """The state that was reported last."""
        return self.states[-1][0]

    @property
    def reason(self) -> str:
        """The reason that was reported last."""
        return self.states[-1][1]

    def received(self, key: str, payload: bytes) -> None:
        """See `BackendLink`."""
        self.messages.append((key, payload))
        self.on_received(key, payload)

    def state_changed(self, state: BackendState, reason: str = "") -> None:
        """See `BackendLink`."""
        self.states.append((state, reason))

    def lost(self, keys: Sequence[str] | None, count: int) -> None:
        """See `BackendLink`."""
        self.losses.append((keys, count))
