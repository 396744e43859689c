"""A reverse proxy for reactorhost: TCP, TLS and unix sockets, health checks, routing by name."""

from reactorhost_proxy.hooks import Proxy

plugin = Proxy()

__all__ = ["Proxy", "plugin"]
