"""Write the files of a package: all of them, or none."""

from __future__ import annotations

import errno
import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from reactorhost.errors import ReactorhostError, UsageError, error_from_os


def write(folder: Path, files: Mapping[str, str]) -> None:
    """Make a folder with these files; an empty folder may exist already.

    The files are written beside it, and renamed in one step: a failure leaves nothing, and nothing is overwritten.

    Raises:
        UsageError: there is something in that place.
        ReactorhostError: the folder cannot be made.
    """
    try:
        with TemporaryDirectory(prefix=".reactorhost-new-", dir=folder.parent) as temporary:
            # Not the temporary folder itself, which only its owner may read.
            written = Path(temporary, folder.name)
            for path, text in files.items():
                file = written / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8")
            # A folder replaces an empty folder only. Whatever else is there makes this fail.
            os.rename(written, folder)
    except OSError as error:
        raise _failure(error, folder) from error


def _failure(error: OSError, folder: Path) -> ReactorhostError:
    if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR) and os.path.lexists(folder):
        hint = "choose another name, or another folder with --dir"
        return UsageError(f"{folder} exists already, and nothing was written", hint=hint)
    # In /proc, for example, no folder can be made, with the same error.
    if error.errno == errno.ENOENT and not folder.parent.is_dir():
        parent = str(folder.parent)
        return UsageError(f"there is no folder {parent}", hint=f"make it first: mkdir -p {shlex.quote(parent)}")
    return error_from_os(error, f"cannot make {folder}", hint="choose another folder with --dir, or another name")
