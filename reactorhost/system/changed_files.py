"""Which of a set of files have changed, decided by what they are now and not by events of the kernel.

Events come for files that are written in several steps, for names that an editor uses for a moment, and not at all on
some network and container file systems. So an event only says that it is time to look.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping

Signature = tuple[int, ...]


def signature(path: str) -> Signature | None:
    """Return what changes with the content of a file, or None if there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


class ChangedFiles:
    """Compares files with what they were; a source file that is new in one of `folders` counts as changed.

    A file that is missing has not changed: an editor removes it for a moment, and without it nothing could be loaded.
    """

    def __init__(self, files: Mapping[str, Signature], folders: Collection[str]) -> None:
        self._files: dict[str, Signature | None] = dict(files)
        self._folders = tuple(folders)
        self._files |= {path: signature(path) for path in self._sources() if path not in files}

    def take(self) -> list[str]:
        """Return the files that have changed since the last call."""
        changed = []
        for path in (*self._files, *(path for path in self._sources() if path not in self._files)):
            now = signature(path)
            if now is not None and now != self._files.get(path):
                self._files[path] = now
                changed.append(path)
        return changed

    def _sources(self) -> list[str]:
        found = []
        for folder in self._folders:
            try:
                names = os.listdir(folder)
            except OSError:
                continue
            # Without `.#module.py`, the lock of an editor, and other hidden files.
            found += [os.path.join(folder, name) for name in names if name.endswith(".py") and name[0] != "."]
        return found
