"""The default paths of an instance's files.

Nothing here touches the file system: the master makes the directory and checks its owner.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

PID_FILE = "master.pid"
_TEMP = "/tmp"  # noqa: S108 - the master checks owner and mode of the directory


def base_dir(environ: Mapping[str, str], uid: int) -> Path:
    """Return the directory that contains the run directory of every instance of this user.

    In the shared temporary directory its name contains the user id, and its owner and mode must be checked.
    """
    if uid == 0:
        return Path("/run/reactorhost")
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    # XDG Base Directory Specification: a relative path must be ignored.
    if runtime.startswith("/"):
        return Path(runtime, "reactorhost")
    temp = environ.get("TMPDIR", "")
    return Path(temp if temp.startswith("/") else _TEMP, f"reactorhost-{uid}")


def default_run_dir(name: str, environ: Mapping[str, str], uid: int) -> Path:
    """Return the default run directory of the instance `name`."""
    return base_dir(environ, uid) / name
