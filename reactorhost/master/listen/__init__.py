"""Listening sockets: bind, open, steer, and close without losing a client."""
