"""ASGI and WSGI for reactorhost."""
