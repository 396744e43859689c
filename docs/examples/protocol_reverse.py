"""Send each line back in reverse: a protocol as asyncio's documentation shows them, and the hook that returns it."""

import asyncio

from reactorhost import hookimpl


class Reverse(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
        self.rest = b""

    def data_received(self, data):
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            self.transport.write(line[::-1] + b"\n")

    def drain_requested(self):
        self.transport.write(b"bye\n")
        self.transport.close()


@hookimpl
def protocol(service):
    return Reverse
