"""The control socket and what can be requested over it."""
