"""Access log: one line for every finished connection."""

from reactorhost_accesslog.hooks import AccessLog

plugin = AccessLog()

__all__ = ["AccessLog", "plugin"]
