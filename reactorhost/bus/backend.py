"""The interface between the bus of a worker and a transport to other machines.

A distribution brings a transport by an entry point of the group `reactorhost.bus` whose name is a URL scheme and whose
object is a callable `(worker, url) -> Backend`. It is loaded when `[bus] url` has that scheme.

The workers of one host exchange messages directly. A backend carries what is published to the workers of other hosts,
and of this one too: the host drops what comes back to it. Topics and payloads are opaque to a backend.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol


class BackendState(enum.Enum):
    """State of the connection to the other machines."""

    CONNECTING = "connecting"
    UP = "up"
    DOWN = "down"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class Keep:
    """How many payloads of a key are stored, and for how many seconds after the last one; None for ever."""

    messages: int
    seconds: float | None = None


class BackendLink(Protocol):
    """What a backend calls; only in the thread of the event loop."""

    def received(self, key: str, payload: bytes) -> None:
        """Deliver a payload that was published under a key of which a pattern is subscribed."""

    def state_changed(self, state: BackendState, reason: str = "") -> None:
        """Report the state. After DOWN and the next UP the host notifies every subscriber of a gap.

        UP means that every pattern that was subscribed before is subscribed again. A payload that arrives when
        something before it may be missing is delivered after UP was reported: the gap is reported once, and before it.
        """

    def lost(self, keys: Sequence[str] | None, count: int) -> None:
        """Report that `count` payloads of these keys were dropped, of unknown keys with None."""


class Backend(Protocol):
    """A transport to the workers of other hosts; no method blocks."""

    def start(self, link: BackendLink) -> None:
        """Connect, and connect again whenever the connection breaks, until `stop`."""

    def publish(self, key: str, payload: bytes, keep: Keep | None) -> bool:
        """Send a payload to every subscriber of the key, in order for each key.

        With `keep` the payload is also added to the stored payloads of the key.

        Returns:
            False if it was dropped, because the connection is down or too much waits already.
        """

    def subscribe(self, pattern: str) -> None:
        """Receive what is published under a key, or with a `*` at the end under every key that begins so."""

    def unsubscribe(self, pattern: str) -> None:
        """Revoke `subscribe` for the same pattern."""

    def stored(self, key: str, most: int, on_result: Callable[[Sequence[bytes] | None], object]) -> None:
        """Call `on_result` with the newest stored payloads of a key, at most `most` and the newest last.

        Called with None if they cannot be read.
        """

    def stop(self) -> None:
        """Send what waits if that is possible at once, and disconnect."""
