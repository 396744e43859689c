"""The state of a server, and which commands it has.

Nothing here reads or sends: see `pipeline`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol

from reactorhost_redisserver.client import Client
from reactorhost_redisserver.dispatch import Command
from reactorhost_redisserver.keyspace import Keyspace
from reactorhost_redisserver.scans import Scans
from reactorhost_redisserver.topics import Topics

if TYPE_CHECKING:
    from reactorhost import Connection


class Saver(Protocol):
    """What stores the state.

    Attributes:
        saved_at: when it was stored last, in Unix seconds.
    """

    saved_at: float

    @property
    def failed(self) -> bool:
        """Whether the last attempt has failed."""

    @property
    def running(self) -> bool:
        """Whether it is being stored."""

    @property
    def unsaved(self) -> int:
        """How many changes are not stored yet."""

    def save(self) -> bool:
        """Store it before returning; returns whether it is stored."""

    def save_in_background(self) -> bool:
        """Begin to store it; returns whether that has begun."""


class Server:
    """One server.

    Attributes:
        commands: every command by its name.
        keyspace: the databases.
        clients: the clients by the number of their connection, in the order in which they came.
        topics: the subscriptions.
        scans: the SCANs that are not complete.
        password: what clients log in with, or None.
        max_memory: bytes of keys and values above which no more are stored; 0 for no limit.
        max_request: bytes of the largest command.
        commands_run: how many commands have run.
        connected: how many clients have connected.
        saver: what stores the state, or None.
    """

    def __init__(
        self,
        commands: Mapping[bytes, Command],
        *,
        password: bytes | None = None,
        max_memory: int = 0,
        max_request: int = 64 << 20,
        databases: int = 16,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.commands = commands
        self.keyspace = Keyspace(databases)
        self.clients: dict[int, Client] = {}
        self.topics = Topics()
        self.scans = Scans()
        self.password = password
        self.max_memory = max_memory
        self.max_request = max_request
        self.commands_run = 0
        self.connected = 0
        self.saver: Saver | None = None
        self._clock = clock
        self.started_at = clock()
        self.tick()

    def tick(self) -> None:
        """Read the clock."""
        self.keyspace.now = int(self._clock() * 1000)

    def connect(self, connection: Connection) -> Client:
        """Add a client."""
        client = self.clients[connection.id] = Client(self, connection)
        self.connected += 1
        return client

    def disconnect(self, client: Client) -> None:
        """Remove a client."""
        self.clients.pop(client.connection.id, None)
        self.topics.remove(client)
        client.unwatch()
        if client.wait is not None:
            client.wait.end()
