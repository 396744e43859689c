"""Limit what client addresses and networks may do, and ban those that go on."""

from reactorhost_guard.hooks import Guard

__all__ = ["Guard"]
