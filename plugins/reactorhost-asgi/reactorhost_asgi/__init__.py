"""ASGI and WSGI: any Python web application as a plugin of reactorhost."""

from reactorhost_asgi.hooks import Asgi

plugin = Asgi()

__all__ = ["Asgi", "plugin"]
