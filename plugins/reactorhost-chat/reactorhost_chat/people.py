"""The people of the chat: their names and rooms.

Each client is a member of the group `chat`, and of the group `chat:ROOM` of its room, and joins them with its name. So
the presence of these groups is the list of all people on all workers and machines. A worker itself keeps only the
clients that it serves.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import cast

from reactorhost import Connection, Member, Worker

EVERYONE = "chat"
ROOM = "chat:"


@dataclass(slots=True)
class Person:
    """One client, as `connection.state.chat`.

    Attributes:
        room: the room that it is in, if any.
        next_at: when it may send the next line, in the time of `worker.now()`.
    """

    ref: str
    name: str
    room: str | None = None
    next_at: float = 0.0


def person_of(connection: Connection) -> Person:
    """Return the person at the other end of a connection."""
    return cast("Person", connection.state.chat)


def name_of(member: Member) -> str:
    """Return the name of a member."""
    return member.info.decode(errors="replace")


def say(connection: Connection, sentence: str) -> None:
    """Send a sentence of the chat itself, which nothing that a person sends looks like."""
    connection.send_message(f"* {sentence}".encode())


class People:
    """The people of all workers, and the clients of this one."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._clients: dict[str, Connection] = {}

    @property
    def here(self) -> list[Person]:
        """The clients of this worker."""
        return [person_of(connection) for connection in self._clients.values()]

    def members(self, room: str | None) -> list[Member]:
        """Return the people in a room, or those of the whole chat."""
        return self._worker.presence(EVERYONE if room is None else ROOM + room)

    def client(self, member: Member) -> Connection | None:
        """Return the connection of a member if this worker serves it."""
        connection = self._clients.get(name_of(member).casefold())
        return connection if connection and person_of(connection).ref == member.ref else None

    def ref_of(self, name: str) -> str | None:
        """Return the reference to the person with a name, in upper or lower case."""
        wanted = name.casefold()
        return next((each.ref for each in self.members(None) if name_of(each).casefold() == wanted), None)

    def enter(self, connection: Connection) -> Person:
        """Add a client under the name of a guest."""
        person = connection.state.chat = Person(connection.ref, self._guest_name())
        self._clients[person.name.casefold()] = connection
        connection.join(EVERYONE, person.name.encode())
        return person

    def rename(self, connection: Connection, name: str) -> None:
        """Give a client another name."""
        self.forget(connection)
        person = person_of(connection)
        person.name = name
        self._clients[name.casefold()] = connection
        connection.join(EVERYONE, name.encode())
        if person.room is not None:
            connection.join(ROOM + person.room, name.encode())

    def settle_all(self) -> None:
        """Rename the clients of this worker that have the name of a member.

        `joined` is not called for the members that a worker finds when it starts. Until it knows them, a moment after
        its start, a client may take the name of one.
        """
        if self._clients:
            for member in self.members(None):
                self.settle(member)

    def settle(self, member: Member) -> None:
        """Rename the client of this worker that has the name of another member, if that one has the smaller ref.

        Two workers may let clients have one name before they know of each other. Every worker compares the references,
        so exactly one of the two clients is renamed.
        """
        name = name_of(member)
        connection = self._clients.get(name.casefold())
        if connection is not None and person_of(connection).ref > member.ref:
            self.rename(connection, self._guest_name())
            say(connection, f"Two people took the name {name} at once. You are {person_of(connection).name} now.")

    def send_away(self, connection: Connection, words: str) -> None:
        """Say goodbye to a client and disconnect it."""
        say(connection, words)
        # A client may take its time to close its side. Its name is free at once.
        for group in connection.groups:
            connection.leave(group)
        self.forget(connection)
        connection.close()

    def forget(self, connection: Connection) -> None:
        """Remove a client; it leaves its groups by itself when its connection has ended."""
        name = person_of(connection).name.casefold()
        if self._clients.get(name) is connection:
            del self._clients[name]

    def _guest_name(self) -> str:
        name = f"guest{secrets.randbelow(10**6)}"
        return self._guest_name() if self.ref_of(name) else name
