"""The subscriptions of a worker: an exact key is a channel, the beginning of keys is a pattern of channels.

A key that several subscriptions match is sent several times by the server, and passed on once: the message of the
channel itself, or else that of the shortest pattern. Which subscriptions are active is known from their confirmations,
which come in order with the messages.

Subscriptions are sent in chunks, and while many are not confirmed no more are sent. After a reconnect that holds for
all of them, and the session is ready when the last one is confirmed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reactorhost import Worker
from reactorhost_redis.active import ActiveSubscriptions, glob_of
from reactorhost_redis.commands import packed
from reactorhost_redis.fence import Fence
from reactorhost_redis.session import Session, SessionState

CHUNK_NAMES = 1000
MOST_UNCONFIRMED = 10_000


class Subscriber:
    """The subscriptions of one session.

    `channel_prefix` is the beginning of the name of every channel. `received` is called with key and payload.
    """

    def __init__(
        self,
        worker: Worker,
        session: Session,
        channel_prefix: bytes,
        fence: Fence,
        received: Callable[[str, bytes], object],
    ) -> None:
        self._worker = worker
        self._session = session
        self._prefix = channel_prefix
        self._fence = fence
        self._received = received
        self._wanted: set[str] = set()
        self._requested: set[str] = set()
        # In the order of the first change; what it has come to is decided when it is sent.
        self._changed: dict[str, None] = {}
        self._scheduled = False
        self._unconfirmed = 0
        self._active = ActiveSubscriptions()

    def subscribe(self, pattern: str) -> None:
        """Receive what is published under matching keys."""
        self._wanted.add(pattern)
        self._change(pattern)

    def unsubscribe(self, pattern: str) -> None:
        """Revoke `subscribe`."""
        self._wanted.discard(pattern)
        self._change(pattern)

    def broke(self) -> None:
        """Wait for no confirmations."""
        self._fence.open()

    def leave(self) -> None:
        """Do nothing: the changes that wait are of no use any more."""

    def prepare(self) -> None:
        """Subscribe to everything on a new connection."""
        self._requested.clear()
        self._active.clear()
        self._unconfirmed = 0
        self._changed = dict.fromkeys(self._wanted)
        self._send_changes()
        self._check_ready()

    def pushed(self, message: list[Any]) -> None:
        """Handle a message, or the confirmation of a subscription."""
        match message:
            case [b"message", channel, payload]:
                self._deliver(channel, payload)
            case [b"pmessage", glob, channel, payload]:
                if self._active.passes(glob, channel):
                    self._deliver(channel, payload)
            case [(b"subscribe" | b"unsubscribe" | b"psubscribe" | b"punsubscribe") as verb, name, _]:
                self._active.confirm(verb, name)
                self._confirmed()

    def _deliver(self, channel: bytes, payload: bytes) -> None:
        try:
            key = channel[len(self._prefix) :].decode()
        except UnicodeDecodeError:
            # Not of a host: keys are texts.
            return
        self._received(key, payload)

    # Requests.

    def _change(self, pattern: str) -> None:
        self._changed[pattern] = None
        self._fence.change()
        if not self._scheduled:
            self._scheduled = True
            self._worker.call_later(0, self._end_of_turn)

    def _end_of_turn(self) -> None:
        self._scheduled = False
        if self._session.state in (SessionState.PREPARING, SessionState.READY):
            self._send_changes()
            self._check_ready()
        else:
            self._fence.open()

    def _send_changes(self) -> None:
        while self._changed and self._unconfirmed < MOST_UNCONFIRMED:
            chunk = [self._changed_first() for _ in range(min(CHUNK_NAMES, len(self._changed)))]
            added = [each for each in chunk if each in self._wanted and each not in self._requested]
            removed = [each for each in chunk if each not in self._wanted and each in self._requested]
            self._requested.update(added)
            self._requested.difference_update(removed)
            # Added first: a key that a new pattern covers and whose own subscription ends is never without one.
            self._request("SUBSCRIBE", "PSUBSCRIBE", added)
            self._request("UNSUBSCRIBE", "PUNSUBSCRIBE", removed)
            self._fence.sent(len(added) + len(removed), all_changes=not self._changed)

    def _changed_first(self) -> str:
        pattern = next(iter(self._changed))
        del self._changed[pattern]
        return pattern

    def _request(self, of_keys: str, of_patterns: str, patterns: list[str]) -> None:
        keys = [self._prefix + each.encode() for each in patterns if not each.endswith("*")]
        globs = [glob_of(self._prefix + each[:-1].encode()) for each in patterns if each.endswith("*")]
        for verb, names in ((of_keys, keys), (of_patterns, globs)):
            if names:
                self._session.send_unanswered(packed(verb, *names))
                self._unconfirmed += len(names)

    def _confirmed(self) -> None:
        self._unconfirmed -= 1
        self._fence.confirmed()
        if self._changed and self._unconfirmed < MOST_UNCONFIRMED - CHUNK_NAMES:
            self._send_changes()
        self._check_ready()

    def _check_ready(self) -> None:
        preparing = self._session.state is SessionState.PREPARING
        if preparing and not self._changed and not self._unconfirmed:
            self._session.ready()
