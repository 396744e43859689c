"""The default paths of an instance's files, and the words and flags that select an instance.

Nothing here touches the file system: the master makes the directory and checks its owner.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PID_FILE = "master.pid"
DEFAULT_LOG = "reactorhost.log"
"""The log of a host in the background, in its run directory."""
LOCATION_VARIABLES = ("XDG_RUNTIME_DIR", "TMPDIR")
"""The variables that default paths depend on."""
# Those that select a running host, with their arguments but without flags.
_COMMAND = re.compile(
    r"`(?:\S*/)?reactorhost "
    r"(?:stop|restart|reload|upgrade|scale|disconnect|reopen|status|top|connections|logs|health)(?: [\w-]+)?(?=`)"
)
SYSTEM_BASE = Path("/run/reactorhost")
"""The directory that contains the run directories of hosts of root, and of hosts that root starts for other users."""
_TEMP = "/tmp"  # noqa: S108 - the master checks owner and mode of the directory


def base_dir(environ: Mapping[str, str], uid: int) -> Path:
    """Return the directory that contains the run directory of every instance of this user.

    In the shared temporary directory its name contains the user id, and its owner and mode must be checked.
    """
    if uid == 0:
        return SYSTEM_BASE
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    # XDG Base Directory Specification: a relative path must be ignored.
    if runtime.startswith("/"):
        return Path(runtime, "reactorhost")
    temp = environ.get("TMPDIR", "")
    return Path(temp if temp.startswith("/") else _TEMP, f"reactorhost-{uid}")


def base_dirs(environ: Mapping[str, str], uid: int) -> tuple[Path, ...]:
    """Return the directories that may contain run directories of this user, first the one for a new host.

    A login has variables that a service manager or `cron` does not set, so each can know another place.
    """
    logged_in = {"XDG_RUNTIME_DIR": f"/run/user/{uid}"}
    variants: tuple[Mapping[str, str], ...] = (environ, logged_in, {"TMPDIR": environ.get("TMPDIR", "")}, {})
    return tuple(dict.fromkeys(base_dir(each, uid) for each in variants))


def default_run_dir(name: str, environ: Mapping[str, str], uid: int) -> Path:
    """Return the default run directory of the instance `name`."""
    return base_dir(environ, uid) / name


@dataclass(frozen=True, slots=True)
class Selection:
    """How messages name an instance.

    Attributes:
        host: the subject of a sentence: `host 'chat'`, `host 'chat' in /srv/chat`, or `the host in /srv/chat`.
        flags: what a command in a hint needs to select this instance, each flag after a space; empty for the default.
    """

    host: str
    flags: str

    def in_commands(self, text: str) -> str:
        """Return a text with the flags added to each command in it that has none, written as `reactorhost stop`.

        Without them it could select another host. What writes such a text does not know the variables of the shell in
        which it is read.
        """
        return _COMMAND.sub(lambda found: f"{found[0]}{self.flags}", text)

    @property
    def by_run_dir(self) -> bool:
        """Whether the run directory selects the instance, and not its name."""
        return self.flags.startswith(" --run-dir ")


def by_run_dir(run_dir: Path) -> Selection:
    """Return how to name an instance of which only the run directory is known; the flags do not depend on variables."""
    return Selection(f"the host in {run_dir}", f" --run-dir {shlex.quote(str(run_dir))}")


def selection(name: str | None, run_dir: Path, environ: Mapping[str, str], uid: int) -> Selection:
    """Return how to name an instance; `name` is None if it is not known.

    The flags select it in every command that is run with these variables.
    """
    unnamed = by_run_dir(run_dir)
    if name is None:
        return unnamed
    if run_dir != default_run_dir(name, environ, uid):
        return Selection(f"host {name!r} in {run_dir}", unnamed.flags)
    if any(environ.get(variable) for variable in ("REACTORHOST_RUN_DIR", "REACTORHOST_CONFIG")):
        # Either can set a run directory, which takes precedence over a name.
        return Selection(f"host {name!r}", unnamed.flags)
    is_default = name == "default" and not environ.get("REACTORHOST_NAME")
    return Selection(f"host {name!r}", "" if is_default else f" --name {shlex.quote(name)}")
