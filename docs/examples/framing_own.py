"""Echo messages with a length of three bytes, which no format of the struct module says."""

from reactorhost import FramingError, hookimpl

MOST = 65536


class ThreeByteLength:
    def __init__(self):
        self.waiting = bytearray()

    def feed(self, data):
        self.waiting += data
        return self.messages()

    def messages(self):
        while len(self.waiting) >= 3:
            length = int.from_bytes(self.waiting[:3])
            if length > MOST:
                raise FramingError(f"a length of {length} where at most {MOST} is allowed")
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
