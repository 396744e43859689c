import hashlib

from reactorhost import hookimpl


class Digest:
    """The same with an async hook, which keeps the messages of a client in order."""

    @hookimpl
    def worker_start(self, worker):
        self.worker = worker

    @hookimpl
    async def receive(self, connection, data):
        digest = await self.worker.run_in_thread(hashlib.pbkdf2_hmac, "sha256", data.strip(), b"salt", 100_000)
        connection.send(digest.hex().encode() + b"\n")
