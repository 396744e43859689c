"""The stack that faulthandler wrote in a worker that crashed, without the frames of the host."""

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
    """The frames of plugins and libraries, most recent first; `where` is the place of the first one."""

    text: str
    where: str | None


def take(descriptor: int) -> StackDump | None:
    """Read the stack from its file and close the file; returns None when the process wrote none."""
    try:
        text = os.pread(descriptor, _MOST_BYTES, 0).decode(errors="replace").strip()
    finally:
        os.close(descriptor)
    return cut(text) if text else None


def cut(text: str) -> StackDump:
    """Remove the frames of the host that called the code at fault, and those of the import system."""
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
