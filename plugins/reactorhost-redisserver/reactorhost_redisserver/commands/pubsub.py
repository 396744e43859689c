"""Commands for channels and patterns."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from reactorhost_redisserver.client import Client
from reactorhost_redisserver.dispatch import Command, container
from reactorhost_redisserver.globs import compiled
from reactorhost_redisserver.replies import array, bulk, bulks, integer, push

_Change = Callable[[Client, bytes], None]


def subscribe(client: Client, words: list[bytes]) -> bytes:
    """Subscribe to channels."""
    return _each(client, b"subscribe", client.server.topics.subscribe, words[1:])


def psubscribe(client: Client, words: list[bytes]) -> bytes:
    """Subscribe to the channels that match patterns."""
    return _each(client, b"psubscribe", client.server.topics.subscribe_pattern, words[1:])


def unsubscribe(client: Client, words: list[bytes]) -> bytes:
    """Unsubscribe from channels, without one from all."""
    names = words[1:] or list(client.channels)
    return _each(client, b"unsubscribe", client.server.topics.unsubscribe, names)


def punsubscribe(client: Client, words: list[bytes]) -> bytes:
    """Unsubscribe from patterns, without one from all."""
    names = words[1:] or list(client.patterns)
    return _each(client, b"punsubscribe", client.server.topics.unsubscribe_pattern, names)


def _each(client: Client, kind: bytes, change: _Change, names: Iterable[bytes]) -> bytes:
    answers = []
    for name in names:
        change(client, name)
        answers.append(_answer(client, kind, bulk(name)))
    client.restrict()
    return b"".join(answers) or _answer(client, kind, client.null)


def _answer(client: Client, kind: bytes, name: bytes) -> bytes:
    count = len(client.channels) + len(client.patterns)
    return push([bulk(kind), name, integer(count)], client.protocol)


def publish(client: Client, words: list[bytes]) -> bytes:
    """Send a message to the subscribers of a channel."""
    return integer(client.server.topics.publish(words[1], words[2]))


def channels(client: Client, words: list[bytes]) -> bytes:
    """List the channels that have subscribers."""
    names = client.server.topics.channels
    if len(words) == 2:
        return bulks(names)
    matches = compiled(words[2]).fullmatch
    return bulks([name for name in names if matches(name)])


def numsub(client: Client, words: list[bytes]) -> bytes:
    """Return the numbers of subscribers of channels."""
    subscribers = client.server.topics.channels
    counts = [(bulk(name), integer(len(subscribers.get(name, ())))) for name in words[2:]]
    return array([reply for pair in counts for reply in pair])


def numpat(client: Client, words: list[bytes]) -> bytes:
    """Return the number of patterns that have subscribers."""
    del words
    return integer(len(client.server.topics.patterns))


_FLAGS = "pubsub noscript loading stale"
COMMANDS = (
    Command("subscribe", subscribe, -2, _FLAGS),
    Command("psubscribe", psubscribe, -2, _FLAGS),
    Command("unsubscribe", unsubscribe, -1, _FLAGS),
    Command("punsubscribe", punsubscribe, -1, _FLAGS),
    Command("publish", publish, 3, "pubsub loading stale fast"),
    Command(
        "pubsub",
        container,
        -2,
        subcommands=(
            Command("pubsub|channels", channels, -2, "pubsub loading stale"),
            Command("pubsub|numsub", numsub, -2, "pubsub loading stale"),
            Command("pubsub|numpat", numpat, 2, "pubsub loading stale"),
        ),
    ),
)
