"""The kernel's tables of sockets, in /proc/net (proc(5)), and the sockets that a process has open.

Sockets are identified by their inode numbers, as text.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

_NET = Path("/proc/net")
_TCP_LISTENS = "0A"
# __SO_ACCEPTCON among the flags of a unix socket, and the state of one that is not connected.
_UNIX_LISTENS = 0x10000
_UNCONNECTED = "01"
_HEX = re.compile(r"[0-9A-F]{8}")


def listening_inodes() -> set[str]:
    """Return all sockets that listen, and all UDP sockets, which receive as soon as they are bound."""
    found: set[str] = set()
    for table in ("tcp", "tcp6", "udp", "udp6"):
        rows = (line.split() for line in _lines(table))
        found.update(row[9] for row in rows if len(row) > 9 and (row[3] == _TCP_LISTENS or table.startswith("udp")))
    found.update(row[6] for row in _unix_rows() if _listens(row))
    return found


def is_bound_without_listening(path: Path) -> bool:
    """Return whether a unix socket is bound to a path and does not listen, as that of a host whose workers boot."""
    # A socket that listens counts only if a client reaches it: the table has those of other mount namespaces too, where
    # another file has this path.
    bound = [row for row in _unix_rows() if row[7:] == [str(path)]]
    return any(row[5] == _UNCONNECTED and not _listens(row) for row in bound)


def inodes_of(pid: int) -> set[str]:
    """Return the sockets that a process has open; none if this user may not look."""
    found: set[str] = set()
    with contextlib.suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                kind, _, inode = os.readlink(f"/proc/{pid}/fd/{name}").partition(":[")
                if kind == "socket":
                    found.add(inode.rstrip("]"))
    return found


def _unix_rows() -> Iterator[list[str]]:
    for line in _lines("unix"):
        row = line.split(maxsplit=7)
        # Else it is the rest of a path with an end of line in it, which the kernel does not escape.
        if len(row) > 6 and _HEX.fullmatch(row[3]):
            yield row


def _listens(row: list[str]) -> bool:
    return bool(int(row[3], 16) & _UNIX_LISTENS)


def _lines(table: str) -> list[str]:
    try:
        # Not `splitlines`: a path may have other characters that it takes for ends of lines.
        return (_NET / table).read_text(errors="surrogateescape").split("\n")[1:]
    except OSError:
        return []
