"""Store words in an SQLite file: one line `put NAME VALUE` or `get NAME` per request."""

import aiosqlite

from reactorhost import Lines, Option, hookimpl


class Store:
    @hookimpl
    def options(self):
        return [Option("file", default="words.db", help="database file, the same for all workers")]

    @hookimpl
    def configure(self, config):
        self.file = config["file"]

    @hookimpl
    def framing(self, service):
        return Lines(max_size=4096)

    @hookimpl
    async def worker_start(self, worker):
        self.database = await aiosqlite.connect(self.file)
        await self.database.execute("create table if not exists words (name text primary key, value text)")

    @hookimpl
    async def receive(self, connection, data):
        match data.decode().split(" ", 2):
            case ["put", name, value]:
                await self.database.execute("insert or replace into words values (?, ?)", (name, value))
                await self.database.commit()
                connection.send_message(b"ok")
            case ["get", name]:
                cursor = await self.database.execute("select value from words where name = ?", (name,))
                row = await cursor.fetchone()
                connection.send_message(row[0].encode() if row else b"nothing")
            case _:
                connection.send_message(b"put NAME VALUE, or get NAME")

    @hookimpl
    async def worker_stop(self, worker):
        await self.database.close()
