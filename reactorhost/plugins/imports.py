"""Imports in a forked worker: of the code that is on disk now, although the interpreter started with the master.

A worker inherits three things from the master that can hide newer code:

- Compiled modules are reused if size and modification time of the source are the same, and a .pyc has the time in whole
  seconds. A module that changes within the second in which a worker compiled it would stay old for ever. Modules that
  are younger than the master are therefore compared by the hash of their source (PEP 552).
- `sys.path` has the folders of the editable installs that existed when the master started.
- The modules that the master has imported. They cannot be replaced, so a reload reports those that have changed.

The host's own code in a worker is always of one version, even if another was installed since. Modules that only some
workers need, because they import asyncio or ssl, are not imported by the master but read into its memory.
"""

from __future__ import annotations

import os
import site
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import reactorhost
from reactorhost.plugins.module_loaders import Finder, SavedLoader

_SETTLED_SECONDS = 2.0
"""A source that was this old when the master started cannot have changed in the second in which it was compiled."""

_OF_OTHER_PROCESSES = ("cli", "dashboard", "master", "testing", "__pycache__")
"""The packages of the host that no worker imports."""

Signature = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class ImportedCode:
    """What this process has imported, and from where, at the time when the object was made."""

    time: float = field(default_factory=time.time)
    files: dict[str, tuple[str, Signature | None]] = field(default_factory=lambda: dict(_module_files()))
    """By path: the top-level name of the module, and what the file was then."""
    saved: dict[str, SavedLoader] = field(default_factory=lambda: dict(_unimported()))
    """The modules of the host that a worker may import later, by name."""
    editable: tuple[str, ...] = field(default_factory=lambda: tuple(_folders_of_pth_files()))

    def changed(self) -> list[str]:
        """Return the top-level names of the modules whose files have changed or disappeared since."""
        return sorted({name for path, (name, signature) in self.files.items() if _signature(path) != signature})

    def follow(self) -> None:
        """Let the imports of this process find what is on disk now; for a process that was forked."""
        now = tuple(_folders_of_pth_files())
        if now != self.editable:
            kept = [folder for folder in sys.path if folder not in self.editable or folder in now]
            sys.path[:] = [*kept, *(folder for folder in now if folder not in kept)]
        sys.meta_path.insert(0, Finder(self.time - _SETTLED_SECONDS, self.saved))


def _module_files() -> Iterator[tuple[str, tuple[str, Signature | None]]]:
    for name, module in tuple(sys.modules.items()):
        top = name.partition(".")[0]
        # The standard library is replaced together with the interpreter, which runs on as well.
        if top not in sys.stdlib_module_names and top != "__main__":
            path = getattr(module, "__file__", None)
            if isinstance(path, str):
                yield path, (top, _signature(path))


def _unimported() -> Iterator[tuple[str, SavedLoader]]:
    root = os.path.dirname(reactorhost.__file__)
    for folder, folders, files in os.walk(root):
        if folder == root:
            folders[:] = [each for each in folders if each not in _OF_OTHER_PROCESSES]
        package = reactorhost.__name__ + folder.removeprefix(root).replace(os.sep, ".")
        for file in files:
            stem, suffix = os.path.splitext(file)
            name = package if stem == "__init__" else f"{package}.{stem}"
            if suffix == ".py" and name not in sys.modules:
                yield name, SavedLoader(name, os.path.join(folder, file))


def _signature(path: str) -> Signature | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _folders_of_pth_files() -> Iterator[str]:
    """Yield the folders that .pth files add to `sys.path`, as a new interpreter would find them."""
    if sys.flags.no_site:
        return
    folders = [*site.getsitepackages(), *([site.getusersitepackages()] if site.ENABLE_USER_SITE else [])]
    for folder in folders:
        with suppress(OSError):
            for name in sorted(os.listdir(folder)):
                if name.endswith(".pth") and not name.startswith("."):
                    yield from _folders_of(folder, name)


def _folders_of(folder: str, name: str) -> Iterator[str]:
    # Lines that begin with `import` are code; the finders that it installs know their folders themselves.
    with suppress(OSError, UnicodeDecodeError), open(os.path.join(folder, name), encoding="utf-8-sig") as file:
        lines = (line.strip() for line in file if not line.startswith(("#", "import ", "import\t")))
        for path in (os.path.abspath(os.path.join(folder, line)) for line in lines if line):
            if os.path.exists(path):
                yield path
