import hashlib

from reactorhost import hookimpl


class Digest:
    """Answer every line with a digest that takes its time to make."""

    @hookimpl
    def worker_start(self, worker):
        self.worker = worker

    @hookimpl
    def receive(self, connection, data):
        def answer(digest):
            connection.send(digest.hex().encode() + b"\n")
            connection.resume()

        # Nothing more of this client, not even its end, until it has its answer.
        connection.pause()
        self.worker.run_in_thread(digest_of, data, on_result=answer)


def digest_of(data):
    return hashlib.pbkdf2_hmac("sha256", data.strip(), b"salt", 100_000)
