"""The Redis backend does what every backend does, on a server in memory."""

from __future__ import annotations

from backend_contract import BackendContract


class TestRedis(BackendContract):
    """The fixture `network` has the server."""
