"""Find the hosts of this user by their run directories, which a host of another user must not be able to imitate."""

from __future__ import annotations

import os
from pathlib import Path

from reactorhost.ipc.control_client import CONTROL_SOCKET
from reactorhost.master.rundir import LOCK
from reactorhost.system.ownership import is_trusted


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
