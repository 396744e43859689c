"""Fixtures of the tests of the chat, so that they run by themselves too."""

from reactorhost.testing import live_host, plugin_bench

__all__ = ["live_host", "plugin_bench"]
