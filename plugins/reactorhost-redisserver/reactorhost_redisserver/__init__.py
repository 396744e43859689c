"""Serve the protocol of Redis from the memory of one worker, over reloads and crashes."""

from reactorhost_redisserver.hooks import RedisServer

__all__ = ["RedisServer"]
