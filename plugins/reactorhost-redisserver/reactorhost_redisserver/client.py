"""One client of the server: its protocol, its database, its transaction and its subscriptions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reactorhost_redisserver.keyspace import Database
from reactorhost_redisserver.replies import NULL, NULL_ARRAY, NULL_BULK
from reactorhost_redisserver.requests import RequestReader

if TYPE_CHECKING:
    from reactorhost import Connection
    from reactorhost_redisserver.dispatch import Command
    from reactorhost_redisserver.server import Server
    from reactorhost_redisserver.waits import Wait


class Client:
    """One client.

    Attributes:
        protocol: 2 or 3, the version of RESP.
        null: what it gets for a value that does not exist.
        null_array: the same for an array.
        restricted: whether a command may have to be refused or queued: the client has not logged in, has sent MULTI,
            or has subscriptions in RESP2.
        out: replies and messages that are not sent yet.
        queue: the commands since MULTI, or None.
        queued_bytes: how much the words of these commands are.
        broken: whether a command since MULTI was refused.
        dirty: whether a watched key has changed.
        watched: the keys that it watches.
        channels: the channels that it has subscribed to, as a dict to keep their order; `patterns` likewise.
        ending: whether the connection is to be closed behind the replies.
        executing: whether a transaction runs, in which no command waits.
        wait: what it waits for, or None.
        halted: whether no command runs now, because it is ending or waits.
        unread: what it has sent while it waits, which is not parsed yet; None if it does not wait.
    """

    __slots__ = (
        "broken",
        "channels",
        "connection",
        "database",
        "dirty",
        "ending",
        "executing",
        "halted",
        "logged_in",
        "name",
        "null",
        "null_array",
        "out",
        "patterns",
        "protocol",
        "queue",
        "queued_bytes",
        "reader",
        "restricted",
        "server",
        "unread",
        "wait",
        "watched",
    )

    def __init__(self, server: Server, connection: Connection) -> None:
        self.server = server
        self.connection = connection
        self.reader = RequestReader()
        self.out: list[bytes] = []
        self.channels: dict[bytes, None] = {}
        self.patterns: dict[bytes, None] = {}
        self.watched: dict[tuple[Database, bytes], None] = {}
        self.wait: Wait | None = None
        self.unread: bytearray | None = None
        self.executing = False
        self.halted = False
        self.reset()

    def reset(self) -> None:
        """Be as a client that has just connected, without subscriptions and watched keys."""
        self.speak(2)
        self.database: Database = self.server.keyspace.databases[0]
        self.name = b""
        self.logged_in = self.server.password is None
        self.queue: list[tuple[Command, list[bytes]]] | None = None
        self.queued_bytes = 0
        self.broken = False
        self.dirty = False
        self.ending = False
        self.restrict()

    def speak(self, protocol: int) -> None:
        """Use a version of RESP."""
        self.protocol = protocol
        self.null = NULL_BULK if protocol == 2 else NULL
        self.null_array = NULL_ARRAY if protocol == 2 else NULL

    def restrict(self) -> None:
        """Determine whether commands have to be looked at before they run."""
        listening = self.protocol == 2 and bool(self.channels or self.patterns)
        self.restricted = not self.logged_in or self.queue is not None or listening

    def changed(self) -> None:
        """Remember that a watched key has changed."""
        self.dirty = True

    def unwatch(self) -> None:
        """Watch nothing."""
        for database, key in self.watched:
            database.unwatch(key, self)
        self.watched.clear()
        self.dirty = False
