"""Answer `INCR NAME` with how often it was sent, to any worker of any machine."""

from redis.asyncio import Redis
from redis.exceptions import RedisError

from reactorhost import Lines, Option, hookimpl


class Numbers:
    @hookimpl
    def options(self):
        return [Option("url", default="redis://127.0.0.1:6379", help="address of the Redis server", secret=True)]

    @hookimpl
    def configure(self, config):
        self.url = config["url"]

    @hookimpl
    def framing(self):
        return Lines(max_size=1024)

    @hookimpl
    async def worker_start(self, worker):
        self.worker = worker
        # One pool of connections per worker. It connects when it is first used, and again after a failure.
        self.redis = Redis.from_url(self.url, socket_timeout=5.0, socket_connect_timeout=5.0)

    @hookimpl
    async def worker_stop(self):
        await self.redis.aclose()

    @hookimpl
    async def receive(self, connection, data):
        match data.split():
            case [b"INCR", name]:
                try:
                    connection.send_message(b"%d" % await self.redis.incr(b"number:" + name))
                except RedisError as error:
                    self.worker.log.warning("redis: %s", error)
                    connection.send_message(b"error: try again later")
            case _:
                connection.send_message(b"use: INCR NAME")
