"""What people can do in the chat: the lines that they send, and the commands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from reactorhost import Connection, Worker
from reactorhost_chat.people import ROOM, People, name_of, person_of, say
from reactorhost_chat.text import HELP, NAME_RULE, listed, valid_name

HISTORY_SECONDS = 7 * 24 * 3600.0
"""How long the messages of a room are kept after the last one: any client can make rooms."""
_NO_ROOM = "You are in no room. To go to one: /join ROOM"


class Commands:
    """What the clients of one worker can do.

    `history` is the number of messages that are kept of each room, 0 for none.
    """

    def __init__(self, worker: Worker, people: People, history: int) -> None:
        self.worker = worker
        self.people = people
        self.history = history
        self.messages = worker.shared_counter("messages")
        self._functions: Mapping[str, Callable[[Connection, str], None]] = {
            "/help": self.help,
            "/history": self.show_history,
            "/join": self.join,
            "/leave": self.leave,
            "/msg": self.message,
            "/name": self.rename,
            "/quit": self.quit,
            "/who": self.list_people,
        }
        if history:
            worker.keep_history(f"{ROOM}*", messages=history, seconds=HISTORY_SECONDS)

    def run(self, connection: Connection, line: str) -> None:
        """Execute the command that a line begins with, or send the line to the room."""
        command, _, text = line.partition(" ")
        function = self._functions.get(command.lower())
        if function is not None:
            function(connection, text.strip())
        elif command.startswith("/"):
            say(connection, f"{command} is not a command. Try /help, or begin with a blank to send it as text.")
        elif line.strip():
            self.talk(connection, line.strip())

    def talk(self, connection: Connection, line: str) -> None:
        """Send a line to the other people in the room."""
        person = person_of(connection)
        if person.room is None:
            say(connection, _NO_ROOM)
            return
        # A terminal shows what is typed, so the sender has the line already.
        self.worker.send_to(ROOM + person.room, f"{person.name}: {line}".encode(), exclude=connection)
        self.messages.add()

    def help(self, connection: Connection, _: str) -> None:
        """List the commands."""
        for line in HELP:
            say(connection, line)

    def rename(self, connection: Connection, text: str) -> None:
        """Change the name, if it is free."""
        person, name = person_of(connection), valid_name(text)
        if not text:
            say(connection, f"Your name is {person.name}. To change it: /name NAME")
        elif name is None:
            say(connection, f"A name {NAME_RULE}.")
        elif self.people.ref_of(name) not in (None, person.ref):
            say(connection, f"The name {name} is taken. Please choose another one.")
        else:
            if name != person.name:
                self.people.rename(connection, name)
            say(connection, f"You are {name} now.")

    def join(self, connection: Connection, text: str) -> None:
        """Go to a room, and show its people and its last messages."""
        person, room = person_of(connection), valid_name(text.removeprefix("#").lower())
        if room is None:
            say(connection, f"To go to a room: /join ROOM. The name of a room {NAME_RULE}.")
            return
        if room == person.room:
            say(connection, f"You are in {room} already.")
            return
        if person.room is not None:
            connection.leave(ROOM + person.room)
        others = listed(map(name_of, self.people.members(room)))
        connection.join(ROOM + room, person.name.encode())
        person.room = room
        say(connection, f"You are in {room} with {others}." if others else f"You are alone in {room} so far.")
        if self.history:
            self.worker.history(ROOM + room, self.history, on_result=partial(_show_if_any, connection, room))

    def leave(self, connection: Connection, _: str) -> None:
        """Leave the room."""
        person = person_of(connection)
        if person.room is None:
            say(connection, _NO_ROOM)
            return
        connection.leave(ROOM + person.room)
        say(connection, f"You have left {person.room}. To go to a room: /join ROOM")
        person.room = None

    def list_people(self, connection: Connection, _: str) -> None:
        """List the people in the room, and those elsewhere."""
        room = person_of(connection).room
        here = self.people.members(room) if room is not None else []
        refs = {each.ref for each in here}
        if here:
            say(connection, f"In {room}: {listed(map(name_of, here))}.")
        if elsewhere := [name_of(each) for each in self.people.members(None) if each.ref not in refs]:
            say(connection, f"Elsewhere: {listed(elsewhere)}.")

    def message(self, connection: Connection, text: str) -> None:
        """Send a line to one person."""
        name, _, line = text.partition(" ")
        ref = self.people.ref_of(name)
        if not line:
            say(connection, "To send a line to one person: /msg NAME TEXT")
        elif ref and self.worker.send_to_ref(ref, f"(private) {person_of(connection).name}: {line}".encode()):
            connection.send_message(f"(private) to {name}: {line}".encode())
        else:
            say(connection, f"{name} is not here. /who lists the people who are.")

    def show_history(self, connection: Connection, _: str) -> None:
        """Show the last messages of the room."""
        room = person_of(connection).room
        if room is None:
            say(connection, _NO_ROOM)
        elif not self.history:
            say(connection, "No history is kept here.")
        else:
            self.worker.history(ROOM + room, self.history, on_result=partial(_show, connection, room))

    def quit(self, connection: Connection, _: str) -> None:
        """Disconnect."""
        self.people.send_away(connection, "Goodbye.")


def _show_if_any(connection: Connection, room: str, messages: list[bytes]) -> None:
    if messages:
        _show(connection, room, messages)


def _show(connection: Connection, room: str, messages: list[bytes]) -> None:
    say(connection, f"The last messages in {room}:" if messages else f"No messages in {room} so far.")
    for message in messages:
        # Marked, so that they are not taken for new ones.
        connection.send_message(b"| " + message)
