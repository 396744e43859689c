"""Where an instance keeps its files, unless told otherwise.

Nothing here touches the file system: making the directory and checking its owner is the master's.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

PID_FILE = "master.pid"
_TEMP = "/tmp"  # noqa: S108 - whoever makes the directory checks its owner and mode


def base_dir(environ: Mapping[str, str], uid: int) -> Path:
    """Return the directory under which every instance of this user has its own.

    The temp directory is everybody's, so there the name carries the user; its owner and mode must be checked.
    """
    if uid == 0:
        return Path("/run/reactorhost")
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    # The XDG specification: a path that is not absolute is to be ignored.
    if runtime.startswith("/"):
        return Path(runtime, "reactorhost")
    temp = environ.get("TMPDIR", "")
    return Path(temp if temp.startswith("/") else _TEMP, f"reactorhost-{uid}")


def default_run_dir(name: str, environ: Mapping[str, str], uid: int) -> Path:
    """Return the run directory of the instance `name`."""
    return base_dir(environ, uid) / name
