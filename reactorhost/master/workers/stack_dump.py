"""The stack that faulthandler left of a worker, cut down to what is not the host's own."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

import reactorhost

_FRAME = re.compile(r'  File "(?P<file>[^"]*)", line (?P<line>\d+)')
_HOST = os.path.dirname(os.path.abspath(reactorhost.__file__)) + os.sep
_MOST_BYTES = 65536


@dataclass(frozen=True, slots=True)
class StackDump:
    """What a dying process was doing: the frames of others, most recent first, and the place of the first of them."""

    text: str
    where: str | None


def take(descriptor: int) -> StackDump | None:
    """Read the stack from its file and close it; None when the process left none."""
    try:
        text = os.pread(descriptor, _MOST_BYTES, 0).decode(errors="replace").strip()
    finally:
        os.close(descriptor)
    return cut(text) if text else None


def cut(text: str) -> StackDump:
    """Leave out what only the host did to come to the code of others."""
    kept: list[str] = []
    where: str | None = None
    for line in text.splitlines():
        frame = _FRAME.match(line)
        if frame is not None and where is not None and frame["file"].startswith(_HOST):
            break
        if frame is None or not frame["file"].startswith("<"):
            kept.append(line)
        if frame is not None and where is None and not frame["file"].startswith("<"):
            where = f"{frame['file']}:{frame['line']}"
    return StackDump("\n".join(kept), where)
