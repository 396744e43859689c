"""Clients that wait for an element of a list, as BLPOP and BRPOP make them.

A client waits when none of its keys is a list. So it need be looked for only when a key begins to exist, which its
database notes in `Keyspace.ready`. After each command, or a whole transaction, those that wait for such a key are
served in the order in which they came.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from reactorhost import Timer
from reactorhost_redisserver.client import Client
from reactorhost_redisserver.keyspace import Database, Keyspace, List
from reactorhost_redisserver.replies import array, bulk


@dataclass(slots=True, eq=False)
class Wait:
    """What one client waits for, at most so many seconds, or for ever if they are 0.

    Attributes:
        timer: ends the wait.
        idle_timeout: that of the connection, which does not count meanwhile.
    """

    client: Client
    database: Database
    keys: list[bytes]
    left: bool
    seconds: float
    timer: Timer | None = None
    idle_timeout: float | None = None

    def begin(self) -> None:
        """Let the client wait: its further commands do not run."""
        for key in self.keys:
            self.database.wanted.setdefault(key, {})[self] = None
        self.client.wait = self
        self.client.halted = True
        connection = self.client.connection
        # As in Redis, where such a client is not idle.
        self.idle_timeout, connection.idle_timeout = connection.idle_timeout, None
        if self.client.unread is None:
            self.client.unread = bytearray()

    def end(self) -> None:
        """Let the client wait no more."""
        for key in dict.fromkeys(self.keys):
            wanted = self.database.wanted[key]
            del wanted[self]
            if not wanted:
                del self.database.wanted[key]
        if self.timer is not None:
            self.timer.cancel()
        self.client.connection.idle_timeout = self.idle_timeout
        self.client.wait = None
        self.client.halted = False

    def answer(self, reply: bytes) -> None:
        """Add the reply to what the client gets, and let it wait no more."""
        self.end()
        self.client.out.append(reply)


def serve(keyspace: Keyspace) -> list[Client]:
    """Return the clients that got the element that they have waited for."""
    served: list[Client] = []
    for database, key in keyspace.ready:
        while (wanted := database.wanted.get(key)) and isinstance(elements := database.find(key), deque):
            wait = next(iter(wanted))
            wait.answer(popped_reply(database, key, elements, left=wait.left))
            served.append(wait.client)
    keyspace.ready.clear()
    return served


def popped_reply(database: Database, key: bytes, elements: List, *, left: bool) -> bytes:
    """Remove an element from one end of a list, and the list with its last one; returns it with the key."""
    (element,) = database.pop(key, elements, 1, left=left)
    return array([bulk(key), bulk(element)])
