"""Answer `INCR NAME` with how often it was sent, to any worker, since the file was made."""

import sqlite3
import threading

from reactorhost import Lines, Option, hookimpl


class Numbers:
    def __init__(self):
        self.lock = threading.Lock()

    @hookimpl
    def options(self):
        return [Option("file", default="numbers.db", help="file of the database, on a local disk")]

    @hookimpl
    def configure(self, config):
        self.file = config["file"]

    @hookimpl
    def framing(self):
        return Lines(max_size=1024)

    @hookimpl
    def worker_start(self, worker):
        self.worker = worker
        # One connection per worker, opened after the fork. A write waits up to 5 s for those of other workers.
        self.database = sqlite3.connect(self.file, timeout=5.0, isolation_level=None, check_same_thread=False)
        self.database.execute("pragma journal_mode = wal")
        self.database.execute("pragma synchronous = normal")
        self.database.execute("create table if not exists number (name text primary key, value integer)")

    @hookimpl
    def worker_stop(self):
        self.database.close()

    @hookimpl
    async def receive(self, connection, data):
        match data.decode(errors="replace").split():
            case ["INCR", name]:
                value = await self.worker.run_in_thread(self.increment, name)
                connection.send_message(b"%d" % value)
            case _:
                connection.send_message(b"use: INCR NAME")

    def increment(self, name):
        # The statement reads, adds and writes in one transaction. The lock: several threads use this connection.
        with self.lock:
            [(value,)] = self.database.execute(
                "insert into number values (?, 1) on conflict do update set value = value + 1 returning value", [name]
            ).fetchall()
        return value
