"""The run directory of an instance: lock, pid files and control socket.

The lock's file also has process id and start time of every worker, so that the next master finds those that are left
when this one is killed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from reactorhost.config.default_paths import Selection
from reactorhost.errors import NotPermittedError, ReactorhostError, error_from_os
from reactorhost.ipc.control_client import CONTROL_SOCKET
from reactorhost.master import run_lock
from reactorhost.system import procfs
from reactorhost.system.fork import ForkRegistry
from reactorhost.system.own_file import FileState, OwnFile
from reactorhost.system.ownership import is_trusted, user_name

_HINT = "choose another with --run-dir"
_MOST_RECORD_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class RunDirectoryState:
    """What another program needs: see `RunDirectory`. Its lock stays with the process while no descriptor is closed."""

    lock: int
    locked_file: OwnFile
    has_pid_file: bool
    workers: str | None
    workers_current: bool
    record: bytes
    recorded: tuple[tuple[int, int], ...]
    made: tuple[Path, ...]


class RunDirectory:
    """The run directory of one instance; `selection` names it in messages.

    Attributes:
        workers_file: file with one line for each live worker: slot, pid, generation.
        lock_file: locked while the master lives.
    """

    def __init__(self, path: Path, pid_file: Path, registry: ForkRegistry, selection: Selection) -> None:
        self.path = path
        self.pid_file = pid_file
        self.control_socket = path / CONTROL_SOCKET
        self.workers_file = path / "workers.pid"
        self.lock_file = path / run_lock.LOCK
        self._registry = registry
        self._selection = selection
        self._lock: int | None = None
        self._locked_file: OwnFile | None = None
        self._has_pid_file = False
        self._workers: str | None = None
        # Whether the file has what `_workers` has.
        self._workers_current = False
        self._recorded: list[tuple[int, int]] = []
        self._record = b""
        self._made: list[Path] = []

    def prepare(self) -> None:
        """Create the directory, or check that it belongs to this user and no other user can write to it.

        Raises:
            ReactorhostError: it belongs to another user, others can write to it, or it cannot be created.
        """
        try:
            # Not `makedirs`, which has no list of what it made: the parents that a start made go with it.
            for missing in reversed([each for each in (self.path, *self.path.parents) if not each.exists()]):
                missing.mkdir(0o755 if os.geteuid() == 0 else 0o700)
                self._made.append(missing)
            check_directory(self.path)
        except OSError as error:
            raise error_from_os(error, f"cannot create the run directory {self.path}", hint=_HINT) from None

    def take_lock(self) -> None:
        """Take the lock of this directory.

        Raises:
            AlreadyRunningError: another process has it.
        """
        # Not `Path.exists`, here and below, which raises in a directory that this user may not enter.
        if os.path.exists(self.lock_file) and not self._made:
            # A master that was killed left it behind, so this one removes it at the end.
            self._made.append(self.path)
        self._recorded = _records(self._lock_directory())
        # The copy in a worker is of no use to it, and its close there does not end the lock of the master.
        self._registry.add(self, self.close_lock)
        if self.pid_file.parent == self.path:
            # It is stale: the process that wrote it had the lock.
            self.pid_file.unlink(missing_ok=True)

    def export(self) -> RunDirectoryState:
        """Return the lock and what is known of the files, for another program.

        Raises:
            ReactorhostError: this host has lost its lock.
        """
        if self._lock is None or self._locked_file is None:
            raise ReactorhostError(f"{self.lock_file} was removed")
        recorded, made = tuple(self._recorded), tuple(self._made)
        return RunDirectoryState(
            self._lock,
            self._locked_file,
            self._has_pid_file,
            self._workers,
            self._workers_current,
            self._record,
            recorded,
            made,
        )

    def restore(self, state: RunDirectoryState) -> None:
        """Have the lock of this process, in place of `prepare` and `take_lock`."""
        self._lock, self._locked_file = state.lock, state.locked_file
        self._registry.add(self, self.close_lock)
        self._has_pid_file, self._record = state.has_pid_file, state.record
        self._workers, self._workers_current = state.workers, state.workers_current
        self._recorded, self._made = list(state.recorded), list(state.made)

    def state(self) -> FileState:
        """Return what is at the path of the lock; while it is not `PRESENT`, the directory can be another host's."""
        return FileState.MISSING if self._locked_file is None else self._locked_file.state()

    def take_lock_again(self) -> None:
        """Take the lock of this directory after its file, or the directory, was removed.

        Raises:
            AlreadyRunningError: another host has it by now.
            ReactorhostError: it cannot be made.
        """
        self.prepare()
        before = self._lock
        descriptor = self._lock_directory()
        if before is not None:
            os.close(before)
            # If the file had only been moved away for a moment, both are of it, and that close has ended the lock.
            run_lock.lock(descriptor, self.path, self._selection)
        self._write_record()

    def written(self) -> list[tuple[Path, FileState, Callable[[], object]]]:
        """Return the files that this host has written, and what writes each of them again.

        One that could not be written counts as missing.
        """
        files: list[tuple[Path, FileState, Callable[[], object]]] = []
        if self._has_pid_file:
            files.append((self.pid_file, _presence(self.pid_file), self.write_pid_file))
        if self._workers is not None:
            state = _presence(self.workers_file) if self._workers_current else FileState.MISSING
            files.append((self.workers_file, state, self._write_workers))
        return files

    def write_pid_file(self) -> None:
        """Write the master's process id.

        Raises:
            ReactorhostError: it cannot be written.
        """
        try:
            _replace(self.pid_file, f"{os.getpid()}\n")
        except OSError as error:
            what = f"cannot write the pid file {self.pid_file}"
            raise error_from_os(error, what, hint="choose another with --pid-file") from None
        self._has_pid_file = True

    def write_workers(self, rows: Iterable[tuple[int, int, int]]) -> None:
        """Write slot, pid and generation of every live worker.

        Raises:
            ReactorhostError: it cannot be written, or another host runs in this directory.
        """
        workers = list(rows)
        self._workers = "".join(f"{slot} {pid} {generation}\n" for slot, pid, generation in workers)
        # With those that the last master left, as long as they run: this one can be killed too.
        self._recorded = [(pid, at) for pid, at in self._recorded if procfs.start_time(pid) == at]
        started = {pid: procfs.start_time(pid) for _, pid, _ in workers} | dict(self._recorded)
        self._record = "".join(f"{pid} {at}\n" for pid, at in started.items() if at is not None).encode()
        self._write_workers()

    def _write_workers(self) -> None:
        self._workers_current = False
        if self.state() is not FileState.PRESENT:
            raise ReactorhostError(f"{self.lock_file} was removed")
        try:
            _replace(self.workers_file, self._workers or "")
            self._workers_current = True
            self._write_record()
        except OSError as error:
            raise error_from_os(error, f"cannot write {self.workers_file}", hint=_HINT) from None

    def recorded_workers(self) -> list[tuple[int, int]]:
        """Return process id and start time of the workers that the last master of this directory had."""
        return list(self._recorded)

    def clean_up(self, *, leftovers: bool = False) -> None:
        """Remove the files of this instance, then the lock, then the directories that it created if they are empty.

        With `leftovers` what is known of the workers of the last master stays, for the next one.
        """
        if self._lock is None:
            return
        with contextlib.suppress(OSError):
            # By content, not by inode: inode numbers are reused at once.
            if self.pid_file.is_file() and self.pid_file.read_text() == f"{os.getpid()}\n":
                self.pid_file.unlink()
        # The lock's file goes while the lock is held: afterwards it could be the file of the next master. If it is not
        # there any more, the other files can be those of a host that started since.
        if self.state() is FileState.PRESENT:
            known = () if leftovers and self._workers is None else (self.workers_file, self.lock_file)
            for path in (self.control_socket, *known):
                with contextlib.suppress(OSError):
                    path.unlink()
        self._registry.discard(self)
        self.close_lock()
        # rmdir fails on a directory with other files in it, such as a log, which then stays.
        for path in reversed(self._made):
            with contextlib.suppress(OSError):
                path.rmdir()

    def close_lock(self) -> None:
        """Close the lock file: in the master this ends the lock, in a forked worker it closes a copy without a lock."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _write_record(self) -> None:
        if self._lock is not None:
            with contextlib.suppress(OSError):
                os.pwrite(self._lock, self._record, 0)
                os.ftruncate(self._lock, len(self._record))

    def _lock_directory(self) -> int:
        try:
            self._lock = descriptor = run_lock.take(self.path, self._selection)
            self._locked_file = OwnFile.at(self.lock_file)
        except OSError as error:
            raise error_from_os(error, f"cannot write {self.lock_file}", hint=_HINT) from None
        return descriptor


def check_directory(path: Path) -> None:
    """Check that only this user and root can change the content of a run directory, or put another in its place.

    Raises:
        NotPermittedError: others can.
        OSError: it does not exist.
    """
    for each in (path.parent, path):
        status = each.stat()
        if not stat.S_ISDIR(status.st_mode):
            raise NotPermittedError(f"{each} is not a directory", hint=_HINT)
        if not is_trusted(status.st_uid):
            raise NotPermittedError(f"{each} belongs to user {user_name(status.st_uid)}", hint=_HINT)
        if status.st_mode & 0o022 and not status.st_mode & stat.S_ISVTX:
            raise NotPermittedError(f"other users can write to {each}", hint=f"chmod go-w {each}, or {_HINT}")


def _records(descriptor: int) -> list[tuple[int, int]]:
    try:
        rows = [line.split() for line in os.pread(descriptor, _MOST_RECORD_BYTES, 0).decode().splitlines()]
        return [(int(pid), int(started)) for pid, started in rows]
    except (OSError, ValueError):
        # No master has written it.
        return []


def _presence(path: Path) -> FileState:
    return FileState.PRESENT if os.path.lexists(path) else FileState.MISSING


def _replace(path: Path, text: str) -> None:
    """Replace a file in one step: readers see the old content or the new one."""
    if path.exists() and not path.is_file():
        # As root, the rename would replace a device such as /dev/null.
        raise FileExistsError(errno.EEXIST, "it exists and is not a file")
    # A fixed name: a file that a master left when it was killed here is overwritten by the next one.
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
