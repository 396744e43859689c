"""Loaders of modules in a forked worker: by the hash of the source, or from code that the master has in memory."""

from __future__ import annotations

import importlib.util
import marshal
import os
import sys
import types
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.machinery import ModuleSpec, SourceFileLoader

_PYC_HEADER_BYTES = 16
_CHECKED_HASH = 0b11
"""Flags of a .pyc that is valid if the hash of the source is the same."""


class SavedLoader(SourceFileLoader):
    """Loads a module from the code that its file had when this object was made."""

    def __init__(self, fullname: str, path: str) -> None:
        """Read the code of the module; an exception is that of an import."""
        super().__init__(fullname, path)
        self._code = super().get_code(fullname)

    def get_code(self, fullname: str) -> types.CodeType | None:
        """Return the saved code."""
        return self._code


class Finder:
    """Finds modules by the other finders of `sys.meta_path`; loads the source of recent ones by its hash.

    Not a hook in `sys.path_hooks`: finders of editable installs do not use these for a package itself.

    Args:
        since: a module whose file changed at this time or later is recent.
        saved: modules that are loaded from memory, by name.
    """

    def __init__(self, since: float, saved: Mapping[str, SavedLoader]) -> None:
        self._since = since
        self._saved = saved

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of a module, as `importlib.abc.MetaPathFinder` does."""
        if fullname in self._saved:
            loader = self._saved[fullname]
            return importlib.util.spec_from_file_location(fullname, loader.path, loader=loader)
        for finder in tuple(sys.meta_path):
            spec = None if finder is self else finder.find_spec(fullname, path, target)
            if spec is not None:
                # Not of a subclass, which has reasons of its own.
                if type(spec.loader) is SourceFileLoader and _is_recent(spec.loader.path, self._since):
                    spec.loader = HashedLoader(spec.loader.name, spec.loader.path)
                return spec
        return None


def _is_recent(path: str, since: float) -> bool:
    with suppress(OSError):
        found = os.stat(path)
        # The time of the last change too: `cp -p` and `mv` keep the time of modification.
        return max(found.st_mtime, found.st_ctime) >= since
    return False


class HashedLoader(SourceFileLoader):
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
