"""The run directory of an instance: lock, pid files, control socket; nothing else may touch it while the lock is held.

Alive means that the lock is held. It is a record lock (fcntl, not flock): the kernel itself names the process that
holds it, so a process id that went to a stranger is never taken for ours, and a forked worker does not inherit it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import struct
from collections.abc import Iterable
from pathlib import Path

from reactorhost.errors import AlreadyRunningError, NotPermittedError, error_of_system
from reactorhost.system.fork import ForkRegistry

_FLOCK = struct.Struct("@hhllii")


class RunDirectory:
    """The run directory of one instance."""

    def __init__(self, path: Path, pid_file: Path, registry: ForkRegistry) -> None:
        self.path = path
        self.pid_file = pid_file
        self._registry = registry
        self._lock: int | None = None
        self._made: list[Path] = []

    @property
    def control_socket(self) -> Path:
        """Where the master answers."""
        return self.path / "control.sock"

    @property
    def workers_file(self) -> Path:
        """One line a live worker: slot, pid, generation."""
        return self.path / "workers.pid"

    @property
    def lock_file(self) -> Path:
        """Held for the master's life."""
        return self.path / "lock"

    def prepare(self) -> None:
        """Make the directory, or check that it is ours and nobody else may write to it.

        Raises:
            ReactorhostError: it is somebody else's, open to others, or cannot be made.
        """
        try:
            for missing in reversed([each for each in (self.path, *self.path.parents) if not each.exists()]):
                missing.mkdir(0o755 if os.geteuid() == 0 else 0o700)
                self._made.append(missing)
        except OSError as error:
            raise error_of_system(
                error, f"cannot make the run directory {self.path}", hint="choose another with --run-dir"
            ) from None
        # Who may write to the parent may put another directory in this one's place.
        for path in (self.path.parent, self.path):
            _check_safe(path)

    def take_lock(self) -> None:
        """Become the one host of this directory.

        Raises:
            AlreadyRunningError: another process is.
        """
        if self.lock_file.exists() and not self._made:
            # A host that could not clean up left it all behind, so it falls to us.
            self._made.append(self.path)
        try:
            self._lock = self._locked()
        except OSError as error:
            raise error_of_system(error, f"cannot write {self.lock_file}", hint="choose another --run-dir") from None
        self._registry.add(self, self.close_lock)
        if self.pid_file.parent == self.path:
            # Whose it was is gone, or we had no lock.
            self.pid_file.unlink(missing_ok=True)

    def write_pid_file(self) -> None:
        """Write the master's process id.

        Raises:
            ReactorhostError: it cannot be written.
        """
        try:
            _replace(self.pid_file, f"{os.getpid()}\n")
        except OSError as error:
            raise error_of_system(
                error, f"cannot write the pid file {self.pid_file}", hint="choose another with --pid-file"
            ) from None

    def write_workers(self, rows: Iterable[tuple[int, int, int]]) -> None:
        """Write slot, pid and generation of every live worker.

        Raises:
            OSError: it cannot be written.
        """
        _replace(self.workers_file, "".join(f"{slot} {pid} {generation}\n" for slot, pid, generation in rows))

    def leftover_workers(self) -> bool:
        """Say whether a master that ended without cleaning up left workers that still live."""
        try:
            pids = [int(line.split()[1]) for line in self.workers_file.read_text().splitlines()]
        except (OSError, ValueError, IndexError):
            return False
        return any(_lives(pid) for pid in pids)

    def clean_up(self) -> None:
        """Remove everything that is ours; the lock is given up last, and the directories only if they are empty."""
        if self._lock is None:
            return
        with contextlib.suppress(OSError):
            # Not by its inode: the file system gives a number again at once.
            if self.pid_file.is_file() and self.pid_file.read_text() == f"{os.getpid()}\n":
                self.pid_file.unlink()
        for path in (self.workers_file, self.control_socket, self.lock_file):
            with contextlib.suppress(OSError):
                path.unlink()
        self._registry.discard(self)
        self.close_lock()
        for path in reversed(self._made):
            with contextlib.suppress(OSError):
                path.rmdir()

    def close_lock(self) -> None:
        """Close this process's copy of the lock, in the master its end, in a forked worker nothing but a copy."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _locked(self) -> int:
        while True:
            descriptor = os.open(self.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                holder = holder_pid(self.path)
                raise AlreadyRunningError(
                    f"a host runs already in {self.path}" + (f", pid {holder}" if holder else ""),
                    hint="stop it with `reactorhost stop`, or start another beside it with --name",
                ) from None
            if _same_file(descriptor, self.lock_file):
                return descriptor
            # Its last holder removed the file between our open and our lock.
            os.close(descriptor)


def _check_safe(path: Path) -> None:
    """Make sure that nobody but us and root can change what is in a directory.

    Raises:
        NotPermittedError: somebody can.
    """
    facts = path.stat()
    if not stat.S_ISDIR(facts.st_mode):
        raise NotPermittedError(f"{path} is not a directory", hint="choose another with --run-dir")
    if facts.st_uid not in (os.geteuid(), 0):
        raise NotPermittedError(f"{path} belongs to somebody else", hint="choose another with --run-dir")
    if facts.st_mode & 0o022 and not facts.st_mode & stat.S_ISVTX:
        raise NotPermittedError(
            f"{path} can be written to by others", hint=f"chmod go-w {path}, or choose another with --run-dir"
        )


def holder_pid(run_dir: Path) -> int | None:
    """Return the process that holds the lock of a run directory, or None when nobody does.

    It asks without taking the lock, so that looking never makes a start fail.
    """
    try:
        descriptor = os.open(run_dir / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        answer = fcntl.fcntl(descriptor, fcntl.F_GETLK, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0, 0))
    finally:
        os.close(descriptor)
    kind, _, _, _, pid, _ = _FLOCK.unpack(answer)
    return None if kind == fcntl.F_UNLCK else int(pid)


def running_instances(base: Path) -> list[str]:
    """Return the names of the instances under a base directory whose lock is held."""
    try:
        names = sorted(os.listdir(base))
    except OSError:
        return []
    return [name for name in names if holder_pid(base / name) is not None]


def _lives(pid: int) -> bool:
    """Tell whether a process runs, and does not only wait to be reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (OSError, IndexError):
        return False


def _replace(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    if path.exists() and not path.is_file():
        # root could put a file in the place of /dev/null.
        raise FileExistsError(errno.EEXIST, "it exists and is no file")
    # Always the same name: what a master left that was killed right here, the next one takes away.
    fresh = path.with_name(f".{path.name}.new")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        os.rename(fresh, path)
    except OSError:
        with contextlib.suppress(OSError):
            fresh.unlink()
        raise


def _same_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
