"""One group of all members, as the benchmark of the bus uses it: the first letter of a line says what to do.

J  join, and S subscribe: this connection gets what is broadcast, or a line for every burst
M  send the line to all members
D  send it to the members in this worker one by one, without the bus
B  publish a burst of messages to the subscribers of all workers
"""

from __future__ import annotations

from reactorhost import Connection, Lines, Worker, hookimpl

BURST = 100

room: Room


class Room:
    """The members in this worker, and the one that counts bursts."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.members: dict[Connection, None] = {}
        self.subscriber: Connection
        self.arrived = 0

    def join(self, connection: Connection) -> None:
        """Add a member."""
        connection.join("room")
        self.members[connection] = None
        connection.send_message(b"joined")

    def subscribe(self, connection: Connection) -> None:
        """Count bursts for this connection."""
        self.subscriber = connection
        self.worker.subscribe("burst", self.count)
        connection.send_message(b"joined")

    def count(self, topic: str, data: bytes) -> None:
        """Send a line to the subscriber when a burst is complete."""
        self.arrived += 1
        if self.arrived == BURST:
            self.arrived = 0
            self.subscriber.send_message(data)


@hookimpl
def framing(service: str) -> Lines:
    """Split by lines."""
    return Lines()


@hookimpl
def worker_start(worker: Worker) -> None:
    """Begin without members."""
    global room  # noqa: PLW0603  one for each worker process
    room = Room(worker)


@hookimpl
def connect(connection: Connection) -> None:
    """Send the number of the worker."""
    connection.send_message(b"%d" % room.worker.slot)


@hookimpl
def receive(connection: Connection, data: bytes) -> None:
    """Do what the first letter says."""
    match data[:1]:
        case b"M":
            room.worker.send_to("room", data)
        case b"D":
            line = data + b"\n"
            for member in room.members:
                member.send(line)
        case b"B":
            for _ in range(BURST):
                room.worker.publish("burst", data)
        case b"J":
            room.join(connection)
        case b"S":
            room.subscribe(connection)


@hookimpl
def close(connection: Connection) -> None:
    """Forget a member."""
    room.members.pop(connection, None)
