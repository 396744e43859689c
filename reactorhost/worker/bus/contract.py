"""What the parts of the bus expect of each other.

    plugin -> Bus -> local.groups, local.subscriptions        messages for this worker
                  -> local.history                            numbered and kept, where a plugin wants that
                  -> Outbound, made by `connector` at the first use:
                     peers.Peers -> a Peer for each worker    messages for other workers of this host
                     remote.BackendBridge -> Backend          messages for other hosts

What arrives goes the other way: a `Peer` and the `BackendBridge` call the `Inbound`, which is the `Bus`.

Words: a message has a *key*, the name of a topic or group behind a prefix. A worker *wants* patterns of keys, which is
its interest. A *peer* is another worker of this host, and a *remote worker* one of another host. The *number* of a
message counts those of its publisher and key; 0 is none.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import Protocol

from reactorhost.bus.backend import Keep
from reactorhost.bus.refs import Origin

THE_WORKER = 0
"""The number under which workers send each other requests for their history (`history_transfer`)."""

HEARTBEATS_A_PERIOD = 3
"""A worker sends as many heartbeats in a `down_period`, and is silent when nothing has arrived from it for as long.

The heartbeats that the reader sends itself are counted, and no time is measured. So a worker that was stopped itself
counts one when it continues, and finds no other one silent that it could not have received.
"""


class Inbound(Protocol):
    """Handles what arrives from other workers, of this host or of others."""

    def message(self, origin: Origin, key: str, number: int, data: bytes) -> None:
        """Deliver a message; `number` is its number among those of its origin and key, 0 if they are not numbered."""

    def missed(self, origin: Origin | None, keys: Sequence[str] | None, recovered: bool) -> None:
        """Handle that messages of these keys were dropped; of unknown keys with None, of all origins with None."""

    def to_connection(self, number: int, data: bytes | None) -> None:
        """Send a message to a connection of this worker, or with None close it; `THE_WORKER` is the worker itself."""

    def replica_changed(
        self, origin: Origin, removed: Mapping[str, bytes], added: Mapping[str, bytes], *, first: bool
    ) -> None:
        """Handle a change of another worker's PRESENCE; `first`: it is the first that is known of this worker."""

    def introduced(self) -> None:
        """Handle that the first PRESENCE of every worker of this host that used the bus before this one is known."""

    def gone(self, origin: Origin, members: Mapping[str, bytes]) -> None:
        """Handle that a worker has ended or is silent for too long; `members` was its PRESENCE."""


class Repeats(Protocol):
    """Returns messages that were dropped on their way to one worker and are kept in the history."""

    def since(self, key: str, number: int) -> Sequence[tuple[int, bytes]] | None:
        """Return this worker's own messages of a key from a number on, or None if some are not kept any more."""


class KeptHistory(Repeats, Protocol):
    """The history of this worker, as the way to other hosts uses it.

    Attributes:
        read_stored: called with a key, the number of messages, and a function to call with the newest stored ones, the
            newest last, or with None; None without a backend.
    """

    read_stored: Callable[[str, int, Callable[[Sequence[bytes] | None], object]], object] | None

    def keep_of(self, key: str) -> Keep | None:
        """Return how much of a key is kept, None for nothing."""


class Outbound(Protocol):
    """Sends to other workers: the peers of this host, and through the bridge those of other hosts."""

    def want(self, pattern: str) -> None:
        """Receive the messages of a key or of a pattern of keys."""

    def drop(self, pattern: str) -> None:
        """Revoke `want` for the same pattern."""

    def publish(self, key: str, number: int, data: bytes) -> None:
        """Send a message to the workers that want its key."""

    def set_member(self, member: str, info: bytes | None) -> None:
        """Change the own PRESENCE; None removes the member."""

    def to_connection(self, origin: Origin, number: int, data: bytes | None) -> bool:
        """Send a message for one connection of a worker, or with None close it; False: the worker is gone.

        Connections are numbered from 1. What is sent to number 0, `THE_WORKER`, is for the worker itself.
        """

    def presence(self) -> Iterable[tuple[Origin, Mapping[str, bytes]]]:
        """Return the PRESENCE of every other worker."""

    def push(self, messages: Iterable[bytes], unless: Container[Origin]) -> None:
        """Send messages for the worker itself to those of this host that have begun to use the bus later.

        Those in `unless` get none. If no other one is left, the messages are not iterated.
        """

    def stop(self) -> None:
        """Send what waits if that is possible within a second, and disconnect."""
