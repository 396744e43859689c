"""What each peer written in Python does around its echo, so that none of them stands better or worse for it."""

from __future__ import annotations

import resource

# Frameworks differ from 5 to 2048. A queue that overflows costs its clients a second each: that is not compared here.
BACKLOG = 1024


def allow_many_clients() -> None:
    """Let this process have as many descriptors as it may."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def tell_port(port: int) -> None:
    """Say on standard output where this server listens."""
    print(port, flush=True)
