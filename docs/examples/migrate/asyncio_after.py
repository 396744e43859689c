"""A room: the first line of a client is its name, every other one is sent to all. As a plugin, with streams."""

from reactorhost import hookimpl


class Room:
    @hookimpl
    def worker_start(self, worker):
        self.worker = worker

    @hookimpl
    async def stream_handler(self, reader, writer):
        name = (await reader.readline()).decode().strip()
        writer.write(f"hello {name}\n".encode())
        writer.get_extra_info("connection").join("room")
        while line := await reader.readline():
            text = line.decode().strip()
            if text == "/quit":
                writer.write(b"bye\n")
                break
            self.worker.send_to("room", f"{name}: {text}\n".encode())
            await writer.drain()
