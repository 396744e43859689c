"""Answer `INCR NAME` with how often it was sent. With several workers this is wrong: each counts for itself."""

from collections import Counter

from reactorhost import Lines, hookimpl


class Numbers:
    def __init__(self):
        self.numbers = Counter()

    @hookimpl
    def framing(self):
        return Lines(max_size=1024)

    @hookimpl
    def receive(self, connection, data):
        match data.split():
            case [b"INCR", name]:
                self.numbers[name] += 1
                connection.send_message(b"%d" % self.numbers[name])
            case _:
                connection.send_message(b"use: INCR NAME")
