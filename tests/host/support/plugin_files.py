"""Plugins that tests write: small files, which tell what they see as lines of JSON on standard output."""

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
"""Hooks that tell of every connection's beginning and end."""

ECHO = """
@hookimpl
def receive(connection, data):
    connection.send(data)
"""


def plugin_file(directory: Path, name: str, *sources: str) -> str:
    """Write a plugin of some pieces of source, in which `tell(event, **facts)` prints a line; return its path."""
    path = directory / f"{name}.py"
    path.write_text("\n".join([_HEAD, *(textwrap.dedent(source) for source in sources)]))
    return str(path)


def told(host: LiveHost) -> dict[str, Any]:
    """Return what a plugin tells next."""
    facts: dict[str, Any] = json.loads(host.read_line())
    return facts


def told_until(host: LiveHost, event: str) -> list[dict[str, Any]]:
    """Return what plugins tell up to the first such event, which is the last of the list."""
    seen: list[dict[str, Any]] = []
    while not seen or seen[-1]["event"] != event:
        seen.append(told(host))
    return seen
