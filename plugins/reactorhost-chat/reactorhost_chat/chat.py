"""The hooks of the chat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from reactorhost import Connection, Lines, Member, Option, SetupError, Worker, hookimpl
from reactorhost_chat.commands import Commands
from reactorhost_chat.people import EVERYONE, ROOM, People, name_of, person_of, say
from reactorhost_chat.text import NAME_RULE, cleaned, valid_name

BURST = 10
"""Lines that a client may send at once."""
SETTLE_SECONDS = 5.0
"""How often a worker looks for two people of one name."""
MOST_BYTES = 64 * 1024
"""A longer line closes the connection; up to this size the answer is a sentence."""


class Chat:
    """A chat with names, rooms and history, over all workers and machines."""

    worker: Worker

    @hookimpl
    def options(self) -> list[Option]:
        """Declare the keys of `[plugin.chat]`."""
        return [
            Option("greeting", str, default="Welcome!", help="first words to every client"),
            Option("room", str, default="lobby", help="room that every client joins first"),
            Option("history", int, default=20, help="messages that are kept of each room, 0 to 1000"),
            Option("max_length", int, default=500, help="characters of the longest message, 1 to 4000"),
            Option("rate", float, default=5.0, help=f"lines per second that a client may send, after {BURST} at once"),
        ]

    @hookimpl
    def configure(self, config: Mapping[str, object]) -> None:
        """Set the options.

        Raises:
            ExceptionGroup: of a `SetupError` for each option with an invalid value.
        """
        self.greeting = cleaned(str(config["greeting"]).encode())
        self.room = str(config["room"]).lower()
        self.history = cast("int", config["history"])
        self.max_length = cast("int", config["max_length"])
        self.rate = cast("float", config["rate"])
        problems = []
        if valid_name(self.room) is None:
            problems.append(SetupError(f"the name of a room {NAME_RULE}, which {self.room!r} has not", option="room"))
        for name, number, least, most in (("history", self.history, 0, 1000), ("max_length", self.max_length, 1, 4000)):
            if not least <= number <= most:
                problems.append(SetupError(f"it must be between {least} and {most}, not {number}", option=name))
        if self.rate <= 0:
            problems.append(SetupError(f"it must be above 0, not {self.rate:g}", option="rate"))
        if problems:
            raise ExceptionGroup("options", problems)

    @hookimpl
    def framing(self) -> Lines:
        """Receive lines, unless another plugin or the operator chooses something else."""
        return Lines(max_size=MOST_BYTES)

    @hookimpl
    def worker_start(self, worker: Worker) -> None:
        """Prepare what all clients of the worker need."""
        self.worker = worker
        self.people = People(worker)
        self.departed: dict[tuple[str, str], str] = {}
        self.commands = Commands(worker, self.people, self.history)
        worker.call_every(SETTLE_SECONDS, self.people.settle_all)

    @hookimpl
    def connect(self, connection: Connection) -> None:
        """Greet a client and let it join the first room."""
        person = self.people.enter(connection)
        say(connection, f"{self.greeting} You are {person.name}. Messages so far: {self.commands.messages.value:,}.")
        say(connection, "Type a line to talk, /name NAME to change your name, /help for more.")
        self.commands.join(connection, self.room)

    @hookimpl
    def receive(self, connection: Connection, data: bytes) -> None:
        """Execute a command, or send the line to the room."""
        self._limit_rate(connection)
        line = cleaned(data)
        if len(line) > self.max_length:
            say(connection, f"Not sent: the line has {len(line):,} characters, more than {self.max_length:,}.")
        else:
            self.commands.run(connection, line)

    @hookimpl
    def drain(self, connection: Connection) -> None:
        """Say goodbye, because the worker is about to exit."""
        self.people.send_away(connection, "The server restarts. Please connect again.")

    @hookimpl
    def close(self, connection: Connection) -> None:
        """Forget a client."""
        self.people.forget(connection)

    @hookimpl
    def joined(self, group: str, member: Member) -> None:
        """Notify the clients of this worker of a person that has joined their room, or has another name."""
        if group == EVERYONE:
            self.people.settle(member)
        elif group.startswith(ROOM):
            name, former = name_of(member), self.departed.pop((group, member.ref), None)
            text = f"{name} has joined." if former is None else f"{former} is now {name}."
            if former != name:
                self._notify(group, text, exclude=self.people.client(member))

    @hookimpl
    def left(self, group: str, member: Member) -> None:
        """Notify the clients of this worker of a person that has left their room."""
        if group.startswith(ROOM):
            # Later: if the person has changed the name, `joined` is called next, for the same ref.
            self.departed[group, member.ref] = name_of(member)
            self.worker.call_later(0.0, self._notify_departed, group, member.ref)

    @hookimpl
    def gap(self, group: str, recovered: bool) -> None:
        """Notify the clients of this worker that messages of their room are missing."""
        if group.startswith(ROOM) and not recovered:
            self._notify(group, "Some messages were lost.")

    @hookimpl
    def stats(self) -> dict[str, int]:
        """Return numbers whose sum over all workers is that of the chat."""
        people = self.people.here
        refs = {person.ref for person in people}
        # Several workers may have clients in a room. The one that serves the client with the smallest ref counts it.
        rooms = [self.people.members(room) for room in {person.room for person in people if person.room}]
        first = [min((each.ref for each in room), default=None) for room in rooms]
        return {"users": len(people), "rooms": sum(ref in refs for ref in first)}

    def _notify_departed(self, group: str, ref: str) -> None:
        name = self.departed.pop((group, ref), None)
        if name is not None:
            self._notify(group, f"{name} has left.")

    def _notify(self, group: str, text: str, exclude: Connection | None = None) -> None:
        # Every worker calls the hook, so each notifies its own clients.
        self.worker.send_to(group, f"* {text}".encode(), exclude=exclude, local=True)

    def _limit_rate(self, connection: Connection) -> None:
        """Stop reading a client until its token bucket has a token again; nothing of what it sends is lost."""
        person, now = person_of(connection), self.worker.now()
        person.next_at = max(person.next_at, now - (BURST - 1) / self.rate) + 1 / self.rate
        connection.throttle(person.next_at - now)
