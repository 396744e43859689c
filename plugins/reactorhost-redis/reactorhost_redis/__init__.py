"""Redis as the bus between hosts: `[bus] url = "redis://..."`."""

from __future__ import annotations

from reactorhost import Worker
from reactorhost.bus import Backend
from reactorhost_redis.redis_backend import RedisBackend
from reactorhost_redis.redis_url import parse

__all__ = ["backend"]


def backend(worker: Worker, url: str) -> Backend:
    """Return the bus of a worker over the Redis server of this URL; nothing is connected yet.

    Raises:
        ValueError: the URL is malformed, or names a file of TLS that cannot be used. The text has no password.
    """
    return RedisBackend(worker, parse(url))
