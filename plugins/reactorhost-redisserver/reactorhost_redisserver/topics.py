"""Subscriptions to channels and patterns, and messages to their clients."""

from __future__ import annotations

from reactorhost_redisserver.client import Client
from reactorhost_redisserver.globs import compiled
from reactorhost_redisserver.replies import bulk, push


class Topics:
    """The subscriptions of all clients.

    Attributes:
        channels: the subscribers by channel, in the order in which they have subscribed; `patterns` likewise.
        receivers: the clients with messages that are not sent yet.
    """

    def __init__(self) -> None:
        self.channels: dict[bytes, dict[Client, None]] = {}
        self.patterns: dict[bytes, dict[Client, None]] = {}
        self.receivers: dict[Client, None] = {}

    def publish(self, channel: bytes, message: bytes) -> int:
        """Add a message to what its subscribers get, and return how many there are."""
        count = 0
        if subscribers := self.channels.get(channel):
            self._add(subscribers, [b"message", channel, message])
            count += len(subscribers)
        for pattern, subscribers in self.patterns.items():
            if compiled(pattern).fullmatch(channel):
                self._add(subscribers, [b"pmessage", pattern, channel, message])
                count += len(subscribers)
        return count

    def _add(self, subscribers: dict[Client, None], words: list[bytes]) -> None:
        encoded = [bulk(word) for word in words]
        texts = {2: push(encoded, 2), 3: push(encoded, 3)}
        for client in subscribers:
            client.out.append(texts[client.protocol])
            self.receivers[client] = None

    def take_receivers(self) -> list[Client]:
        """Return the clients with messages that are not sent yet, once."""
        receivers = list(self.receivers)
        self.receivers.clear()
        return receivers

    def subscribe(self, client: Client, channel: bytes) -> None:
        """Add a subscription to a channel."""
        client.channels[channel] = None
        self.channels.setdefault(channel, {})[client] = None

    def unsubscribe(self, client: Client, channel: bytes) -> None:
        """Remove a subscription to a channel."""
        client.channels.pop(channel, None)
        _discard(self.channels, channel, client)

    def subscribe_pattern(self, client: Client, pattern: bytes) -> None:
        """Add a subscription to the channels that match a pattern."""
        client.patterns[pattern] = None
        self.patterns.setdefault(pattern, {})[client] = None

    def unsubscribe_pattern(self, client: Client, pattern: bytes) -> None:
        """Remove a subscription to a pattern."""
        client.patterns.pop(pattern, None)
        _discard(self.patterns, pattern, client)

    def remove(self, client: Client) -> None:
        """Remove all subscriptions of a client."""
        for channel in list(client.channels):
            self.unsubscribe(client, channel)
        for pattern in list(client.patterns):
            self.unsubscribe_pattern(client, pattern)
        self.receivers.pop(client, None)


def _discard(subscriptions: dict[bytes, dict[Client, None]], name: bytes, client: Client) -> None:
    subscribers = subscriptions.get(name, {})
    subscribers.pop(client, None)
    if not subscribers:
        subscriptions.pop(name, None)
