"""Echo messages with a three-byte length, which the struct module has no format for."""

from reactorhost import FramingError, hookimpl

MAX_LENGTH = 65536


class ThreeByteLength:
    def __init__(self):
        self.waiting = bytearray()

    def feed(self, data):
        self.waiting += data
        return self.messages()

    def messages(self):
        while len(self.waiting) >= 3:
            length = int.from_bytes(self.waiting[:3])
            if length > MAX_LENGTH:
                raise FramingError(f"a length of {length} where at most {MAX_LENGTH} is allowed")
            if len(self.waiting) < 3 + length:
                return
            message = bytes(self.waiting[3 : 3 + length])
            del self.waiting[: 3 + length]
            yield message

    def rest(self):
        rest = bytes(self.waiting)
        self.waiting.clear()
        return rest

    def frame(self, message):
        return len(message).to_bytes(3) + message


@hookimpl
def framing(service):
    return ThreeByteLength


@hookimpl
def receive(connection, data):
    connection.send_message(data)
