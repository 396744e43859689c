"""Imports in a forked worker: of the code that is on disk now, although the interpreter started with the master.

A worker inherits three things from the master that can hide newer code:

- Compiled modules are reused if size and modification time of the source are the same, and a .pyc has the time in whole
  seconds. A module that changes within the second in which a worker compiled it would stay old for ever. Modules that
  are younger than the master are therefore compared by the hash of their source (PEP 552).
- `sys.path` has the folders of the editable installs that existed when the master started.
- The modules that the master has imported. They cannot be replaced, so a reload reports those that have changed.
"""

from __future__ import annotations

import importlib.util
import marshal
import os
import site
import sys
import time
import types
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec, SourceFileLoader

_SETTLED_SECONDS = 2.0
"""A source that was this old when the master started cannot have changed in the second in which it was compiled."""

_PYC_HEADER_BYTES = 16
_CHECKED_HASH = 0b11
"""Flags of a .pyc that is valid if the hash of the source is the same."""

Signature = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class ImportedCode:
    """What this process has imported, and from where, at the time when the object was made."""

    time: float = field(default_factory=time.time)
    files: dict[str, tuple[str, Signature | None]] = field(default_factory=lambda: dict(_module_files()))
    """By path: the top-level name of the module, and what the file was then."""
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
        sys.meta_path.insert(0, _Finder(self.time - _SETTLED_SECONDS))


def _module_files() -> Iterator[tuple[str, tuple[str, Signature | None]]]:
    for name, module in tuple(sys.modules.items()):
        top = name.partition(".")[0]
        # The standard library is replaced together with the interpreter, which runs on as well.
        if top not in sys.stdlib_module_names and top != "__main__":
            path = getattr(module, "__file__", None)
            if isinstance(path, str):
                yield path, (top, _signature(path))


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


class _Finder:
    """Finds modules by the other finders of `sys.meta_path`; loads the source of recent ones by its hash.

    Not a hook in `sys.path_hooks`: finders of editable installs do not use these for a package itself.
    """

    def __init__(self, since: float) -> None:
        self._since = since

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of a module, as `importlib.abc.MetaPathFinder` does."""
        for finder in tuple(sys.meta_path):
            spec = None if finder is self else finder.find_spec(fullname, path, target)
            if spec is not None:
                # Not of a subclass, which has reasons of its own.
                if type(spec.loader) is SourceFileLoader and _is_recent(spec.loader.path, self._since):
                    spec.loader = _HashedLoader(spec.loader.name, spec.loader.path)
                return spec
        return None


def _is_recent(path: str, since: float) -> bool:
    with suppress(OSError):
        found = os.stat(path)
        # The time of the last change too: `cp -p` and `mv` keep the time of modification.
        return max(found.st_mtime, found.st_ctime) >= since
    return False


class _HashedLoader(SourceFileLoader):
    """Reuses a .pyc only if it has the hash of the source, and replaces any other."""

    def get_code(self, fullname: str) -> types.CodeType:
        """Return the code of the module as its file is now."""
        source = self.get_data(self.path)
        header = importlib.util.MAGIC_NUMBER + _CHECKED_HASH.to_bytes(4, "little") + importlib.util.source_hash(source)
        cached = importlib.util.cache_from_source(self.path)
        with suppress(OSError, EOFError, ValueError, TypeError):
            found = self.get_data(cached)
            if found[:_PYC_HEADER_BYTES] == header:
                code = marshal.loads(found[_PYC_HEADER_BYTES:])  # noqa: S302  as the import system does
                # A folder that was copied has the .pyc files with the paths of the original.
                if isinstance(code, types.CodeType) and code.co_filename == self.path:
                    return code
        compiled: types.CodeType = self.source_to_code(source, self.path)
        if not sys.dont_write_bytecode:
            # It ignores a folder that is not writable.
            self.set_data(cached, header + marshal.dumps(compiled))
        return compiled
