"""Setup that all Python peers share, so that it does not favour any of them."""

from __future__ import annotations

import resource

# Frameworks differ from 5 to 2048. A queue that overflows delays each client by a second, which is not compared here.
BACKLOG = 1024


def allow_many_clients() -> None:
    """Raise the limit of open descriptors to its hard limit."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def print_port(port: int) -> None:
    """Print the port of this server."""
    print(port, flush=True)
