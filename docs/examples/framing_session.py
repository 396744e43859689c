"""Answer in upper case, in a protocol with a greeting, PING and BYE."""

from reactorhost import FramingError, Lines, hookimpl


class Hello:
    def __init__(self, max_size=8192):
        self.opening = True
        self.ended = False
        self.name = ""
        self.lines = Lines(max_size=max_size)
        self.replies = b""
        self.early = b""
        self.accepted = False

    def feed(self, data):
        return self.messages(self.lines.feed(data))

    def messages(self, lines):
        for line in lines:
            if self.opening:
                self.greet(line)
            elif line == b"PING":
                self.replies += b"PONG\n"
            elif line == b"BYE":
                self.replies += b"BYE\n"
                self.ended = True
                return
            else:
                yield line

    def greet(self, line):
        word, _, name = line.decode(errors="replace").partition(" ")
        if word != "HELLO" or not name:
            self.replies = b"SORRY say HELLO and your name\n"
            raise FramingError("its first line is not HELLO and a name")
        self.name = name
        self.opening = False

    def accept(self):
        self.accepted = True
        self.replies = b"HELLO\n" + self.early + self.replies

    def frame(self, message):
        line = self.lines.frame(message)
        if self.accepted:
            return line
        self.early += line
        return b""

    def closing(self, reason):
        if self.accepted:
            self.replies += f"BYE {reason}\n".encode()
        else:
            self.replies = f"SORRY {reason}\n".encode()

    def outgoing(self):
        replies, self.replies = self.replies, b""
        return replies


@hookimpl
def framings():
    return {"hello": Hello}


@hookimpl
def connect(connection):
    if isinstance(connection.framing, Hello) and connection.framing.name == "root":
        connection.close()


@hookimpl
def receive(connection, data):
    connection.send(data.upper())
