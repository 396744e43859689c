"""Find the hosts of this user by their run directories, which a host of another user must not be able to imitate."""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path

from reactorhost.errors import AlreadyRunningError
from reactorhost.ipc.control_client import CONTROL_SOCKET
from reactorhost.master.run_lock import LOCK, holder_pid
from reactorhost.system.ownership import is_trusted

MASTER_NAME = "rh-master"
"""The name of the process, for `ps` and `top`."""


def running(bases: Iterable[Path]) -> dict[str, Path]:
    """Return the run directory of each instance that runs, by name; the first directory counts for a name."""
    found: dict[str, Path] = {}
    for place in places(bases):
        if place.name not in found and _runs_in(place):
            found[place.name] = place
    return dict(sorted(found.items()))


def places(bases: Iterable[Path]) -> Iterator[Path]:
    """Yield what is in the directories, which need not exist: each may be a run directory."""
    for base in bases:
        with contextlib.suppress(OSError):
            yield from (base / name for name in sorted(os.listdir(base)))


def find(name: str, bases: Iterable[Path]) -> Path | None:
    """Return the run directory in which an instance runs, or None."""
    return next((base / name for base in bases if _runs_in(base / name)), None)


def check_alone(name: str, run_dir: Path, bases: Iterable[Path]) -> None:
    """Check that an instance that has its lock runs in none of the other places for its name.

    Of two that start at the same time each has its lock by now, so that at least one finds the other.

    Raises:
        AlreadyRunningError: it does.
    """
    places = [base / name for base in bases]
    # With a run directory of its own, an instance may have the name of another one.
    other = next((place for place in places if not _is_same(place, run_dir) and _runs_in(place)), None)
    if run_dir in places and other is not None:
        what = f"host {name!r} already runs in {other}, pid {holder_pid(other)}"
        hint = f"stop it with `reactorhost stop --run-dir {shlex.quote(str(other))}`, or start another --name"
        raise AlreadyRunningError(what, hint=hint)


def of_others(base: Path) -> dict[str, int]:
    """Return by name the owner of each instance in a directory that this user can see, but not operate.

    Whether it runs this user cannot know: a master that was killed leaves its directory as it is.
    """
    owners = ((place, foreign_owner(place)) for place in places([base]))
    return {place.name: owner for place, owner in owners if owner is not None and _may_have_lock(place)}


def _may_have_lock(run_dir: Path) -> bool:
    try:
        os.lstat(run_dir / LOCK)
    except PermissionError:
        return True
    except OSError:
        # Of a host that was stopped its log may be left.
        return False
    return True


def _is_same(place: Path, run_dir: Path) -> bool:
    # /var/run leads to /run, for instance. `holder_pid` must not look at the lock of this process: closing any
    # descriptor of a file ends the record locks that a process has on it (fcntl(2)).
    try:
        return place.samefile(run_dir)
    except OSError:
        return False


def _runs_in(run_dir: Path) -> bool:
    return foreign_owner(run_dir) is None and holder_pid(run_dir) is not None


def foreign_owner(run_dir: Path) -> int | None:
    """Return the owner of a run directory if that is neither this user nor root, or keeps it from this user.

    Of a directory that this user cannot look into, the owner of the nearest parent that is visible is returned. None
    is returned for a directory that does not exist.
    """
    lock, hidden = run_dir / LOCK, False
    for path in (lock, run_dir / CONTROL_SOCKET, run_dir, *run_dir.parents):
        try:
            # The directory may be a link that the operator made. Of the files in it, the link itself counts: it could
            # lead to the lock of any process, which a `stop` would then signal.
            uid = os.stat(path, follow_symlinks=path.parent != run_dir).st_uid
        except PermissionError:
            hidden = True
            continue
        except OSError:
            if path == run_dir:
                return None
            continue
        if hidden or not is_trusted(uid) or (path == lock and not os.access(path, os.R_OK)):
            return uid
        if path == run_dir:
            return None
    return None
