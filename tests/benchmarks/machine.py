"""The environment of a run: processor, kernel, versions, revision of the sources."""

from __future__ import annotations

import importlib.metadata
import platform
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from compiler import compiler
from processors import Places

_PACKAGES = ("reactorhost", "uvloop", "twisted", "gevent", "gunicorn")


def machine(places: Places) -> dict[str, Any]:
    """Return processor, kernel and pinning."""
    return {
        "processor": _processor(),
        "processors": len(places.usable),
        "kernel": platform.release(),
        "system": platform.system(),
        "architecture": platform.machine(),
        "server_on": [places.server],
        "load_on": [places.load],
    }


def versions() -> dict[str, str | None]:
    """Return the versions of the compared programs."""
    cc = compiler()
    return {
        **package_versions(_PACKAGES),
        "cc": cc and first_line(cc, "--version"),
        "php": first_line("php", "--version"),
    }


def package_versions(names: Iterable[str]) -> dict[str, str | None]:
    """Return the versions of Python and of distributions; None for one that is not installed."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found


def revision(place: Path) -> str | None:
    """Return the abbreviated commit of the sources, None outside a git tree."""
    return first_line("git", "-C", str(place), "describe", "--always", "--dirty")


def first_line(*command: str) -> str | None:
    """Return the first line that a command prints, None when it is missing or fails."""
    if not shutil.which(command[0]):
        return None
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return done.stdout.partition("\n")[0] or None if done.returncode == 0 else None


def _processor() -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()
