"""Imports in a forked worker: of the code that is on disk now, although the interpreter started with the master.

A worker inherits three things from the master that can hide newer code:

- Compiled modules are reused if size and modification time of the source are the same, and a .pyc has the time in whole
  seconds. A module that changes within the second in which a worker compiled it would stay old for ever. Modules that
  are younger than the master are therefore compared by the hash of their source (PEP 552).
- `sys.path` and `sys.meta_path` lead to the editable installs that existed when the master started.
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
from pathlib import Path

import reactorhost
from reactorhost.plugins.module_loaders import Finder, SavedLoader
from reactorhost.system.changed_files import Signature, signature

_SETTLED_SECONDS = 2.0
"""A source that was this old when the master started cannot have changed in the second in which it was compiled."""

_OF_OTHER_PROCESSES = ("cli", "dashboard", "master", "testing", "__pycache__")
"""The packages of the host that no worker imports."""

_EDITABLE = "__editable__"
"""How the names of the modules begin that setuptools writes for an editable install."""


@dataclass(frozen=True, slots=True)
class ImportedCode:
    """What this process has imported, and from where, at the time when the object was made."""

    time: float = field(default_factory=time.time)
    files: dict[str, tuple[str, Signature | None]] = field(default_factory=lambda: dict(_module_files()))
    """By path: the top-level name of the module, and what the file was then."""
    saved: dict[str, SavedLoader] = field(default_factory=lambda: dict(_unimported()))
    """The modules of the host that a worker may import later, by name."""
    editable: tuple[str, ...] = field(default_factory=lambda: _editable_folders())  # noqa: PLW0108  defined below
    """The folders of editable installs."""

    def changed(self) -> list[str]:
        """Return the top-level names of the modules whose files have changed or disappeared since."""
        return sorted({name for path, (name, before) in self.files.items() if signature(path) != before})

    def follow(self) -> None:
        """Let the imports of this process find what is on disk now; for a process that was forked."""
        now = _editable_folders()
        if now != self.editable:
            kept = [folder for folder in sys.path if folder not in self.editable or folder in now]
            sys.path[:] = [*kept, *(folder for folder in now if folder not in kept)]
        sys.meta_path.insert(0, Finder(self.time - _SETTLED_SECONDS, self.saved))
        _replace_editable_finders()


def _module_files() -> Iterator[tuple[str, tuple[str, Signature | None]]]:
    for name, module in tuple(sys.modules.items()):
        top = name.partition(".")[0]
        # The standard library is replaced together with the interpreter, which runs on as well; finders of editable
        # installs are replaced by `follow`.
        if top not in sys.stdlib_module_names and top != "__main__" and not top.startswith(_EDITABLE):
            path = getattr(module, "__file__", None)
            if isinstance(path, str):
                yield path, (top, signature(path))


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


def _pth_lines() -> Iterator[tuple[str, str]]:
    """Yield folder and content of each line of the .pth files that a new interpreter would read."""
    if sys.flags.no_site:
        return
    folders = [*site.getsitepackages(), *([site.getusersitepackages()] if site.ENABLE_USER_SITE else [])]
    for folder in folders:
        with suppress(OSError):
            for name in sorted(os.listdir(folder)):
                if name.endswith(".pth") and not name.startswith("."):
                    with suppress(OSError, UnicodeDecodeError):
                        text = Path(folder, name).read_text(encoding="utf-8-sig")
                        yield from ((folder, line) for line in text.splitlines())


def _editable_folders() -> tuple[str, ...]:
    """Return the folders that .pth files add to `sys.path`."""
    # Lines that begin with `import` are code.
    lines = [each for each in _pth_lines() if each[1].strip() and not each[1].startswith(("#", "import ", "import\t"))]
    paths = (os.path.abspath(os.path.join(folder, line.strip())) for folder, line in lines)
    return tuple(path for path in paths if os.path.exists(path))


def _replace_editable_finders() -> None:
    """Install the finders of editable installs anew; setuptools writes a module for each, with its folders in it."""
    old = [name for name in sys.modules if name.startswith(_EDITABLE)]
    sys.meta_path[:] = [finder for finder in sys.meta_path if getattr(finder, "__module__", None) not in old]
    for name in old:
        del sys.modules[name]
    for _, line in _pth_lines():
        if line.startswith(f"import {_EDITABLE}"):
            # While a distribution is being installed the module may be missing.
            with suppress(ImportError):
                exec(line, {})  # noqa: S102  as the site module does
