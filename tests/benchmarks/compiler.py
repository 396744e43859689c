"""The C compiler of this machine, for the C server and the load."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path


def compiler() -> str | None:
    """Return the path of the C compiler, None if none is installed."""
    return next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)


def compiled(folder: Path, name: str, *sources: Path, shared: bool = False) -> Path:
    """Compile a program, or a shared library, into a folder, unless it is already there."""
    made = folder / name
    if not made.exists():
        how = ["-shared", "-fPIC"] if shared else []
        subprocess.run([compiler() or "cc", "-O2", *how, "-o", made, *sources, "-lm"], check=True)
    return made
