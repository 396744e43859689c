"""The folder with the bans: a file that the leader of the host writes, and requests that commands leave.

A request is a file of its own, which is complete when it has its name. The leader carries it out, writes the bans, and
then removes the request: a command that sees it gone finds the result in the file.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from pathlib import Path

from reactorhost_guard.bans import Ban, decoded, encoded

_FILE = "bans.json"
_REQUEST = "request-"
_NEW = "new-"
_MODE = 0o644


class StateDir:
    """The folder at a path."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def create(self) -> None:
        """Create the folder if it is missing.

        Raises:
            OSError: it cannot be created, or not written to.
        """
        self.path.mkdir(mode=0o755, parents=True, exist_ok=True)
        if not os.access(self.path, os.W_OK | os.X_OK):
            raise PermissionError(f"no permission to write to the folder {self.path}")

    def load(self) -> list[Ban]:
        """Return the bans of the file; none if there is no file.

        Raises:
            OSError: it cannot be read.
            ValueError: it is not a file of bans.
        """
        try:
            data = (self.path / _FILE).read_bytes()
        except FileNotFoundError:
            return []
        return decoded(data)

    def save(self, bans: list[Ban]) -> None:
        """Replace the file.

        Raises:
            OSError: it cannot be written; the old one is still there.
        """
        self._write(self.path / _FILE, encoded(bans))

    def request(self, ban: Ban) -> Path:
        """Leave a request to the running host; returns its file, which the host removes when it is done.

        Raises:
            OSError: it cannot be written.
        """
        path = self.path / f"{_REQUEST}{secrets.token_hex(8)}"
        self._write(path, encoded([ban]))
        return path

    def requests(self) -> list[Path]:
        """Return the files of the requests.

        Raises:
            OSError: the folder cannot be read.
        """
        with os.scandir(self.path) as entries:
            # Only files: to read a named pipe would block.
            return [
                Path(entry.path)
                for entry in entries
                if entry.name.startswith(_REQUEST) and entry.is_file(follow_symlinks=False)
            ]

    def _write(self, path: Path, data: bytes) -> None:
        descriptor, name = tempfile.mkstemp(dir=self.path, prefix=_NEW)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                # The file of another user must be readable: a command may run as root.
                os.fchmod(file.fileno(), _MODE)
                os.fsync(file.fileno())
            os.replace(name, path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)
            raise


def bans_of(request: Path) -> list[Ban]:
    """Return the bans of a request; none if it is malformed, or gone.

    Raises:
        OSError: it cannot be read.
    """
    with contextlib.suppress(FileNotFoundError, ValueError):
        return decoded(request.read_bytes())
    return []
