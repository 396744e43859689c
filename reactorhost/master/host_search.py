"""Find all hosts of this user; and, for root, the users that may have hosts.

A host is found in the usual places, and by its master: a process of a known name that holds the lock of its run
directory. So one with a run directory of its own is found too, and one in another pid namespace that shares the places.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from reactorhost.master.instances import MASTER_NAME, foreign_owner, places
from reactorhost.master.run_lock import LOCK, holder_pid
from reactorhost.system import procfs

_OF_USERS = (re.compile(r"/tmp/reactorhost-(\d+)"), re.compile(r"/run/user/(\d+)/reactorhost"))  # noqa: S108  read only


def hosts(bases: Iterable[Path]) -> dict[Path, int]:
    """Return run directory and process id of every host of this user; an id is 0 in another pid namespace."""
    found: dict[Path, int] = {}
    for place in (*places(bases), *_of_masters()):
        run_dir = Path(os.path.realpath(place))
        if run_dir not in found and foreign_owner(run_dir) is None:
            pid = holder_pid(run_dir)
            if pid is not None:
                found[run_dir] = pid
    return found


def _of_masters() -> Iterator[Path]:
    for pid in procfs.processes_named(MASTER_NAME):
        for path in procfs.open_files(pid):
            # A file named `lock` can also be one that a shell has passed on.
            if path.name == LOCK and holder_pid(path.parent) == pid:
                yield path.parent


def users() -> dict[int, int]:
    """Return the ids of other users that may have hosts, with a group of each: what they do is not trusted."""
    paths = [Path(f"/proc/{pid}") for pid in procfs.processes_named(MASTER_NAME)]
    folders = [*places([Path("/tmp")]), *(each / "reactorhost" for each in places([Path("/run/user")]))]  # noqa: S108
    paths += [each for each in folders if any(pattern.fullmatch(str(each)) for pattern in _OF_USERS)]
    found: dict[int, int] = {}
    for path in paths:
        try:
            status = path.lstat()
        except OSError:
            continue
        if status.st_uid != os.geteuid():
            found.setdefault(status.st_uid, status.st_gid)
    return found
