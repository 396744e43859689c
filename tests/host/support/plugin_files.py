"""Small plugins written by tests; they print what they see as JSON lines on standard output."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

from reactorhost.testing import LiveHost

_HEAD = """
import json
from reactorhost import hookimpl

def tell(event, **facts):
    print(json.dumps({"event": event, **facts}), flush=True)
"""

WITNESS = """
@hookimpl
def connect(connection):
    tell("connect", id=connection.id)

@hookimpl
def close(connection, reason):
    tell("close", id=connection.id, reason=reason.value, read=connection.bytes_in, sent=connection.bytes_out)
"""
"""Hooks that print an event for each connect and close."""

ECHO = """
@hookimpl
def receive(connection, data):
    connection.send(data)
"""


def plugin_file(directory: Path, name: str, *sources: str) -> str:
    """Write a plugin from pieces of source, where `tell(event, **facts)` prints a line; return its path."""
    path = directory / f"{name}.py"
    path.write_text("\n".join([_HEAD, *(textwrap.dedent(source) for source in sources)]))
    return str(path)


def told(host: LiveHost) -> dict[str, Any]:
    """Return the next event that a plugin prints."""
    facts: dict[str, Any] = json.loads(host.read_line())
    return facts


def told_until(host: LiveHost, event: str) -> list[dict[str, Any]]:
    """Return the events up to and including the first of this name."""
    seen: list[dict[str, Any]] = []
    while not seen or seen[-1]["event"] != event:
        seen.append(told(host))
    return seen
