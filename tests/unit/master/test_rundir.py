"""The files of the run directory when they cannot be written."""

from __future__ import annotations

from pathlib import Path

import pytest

from reactorhost.config.default_paths import Selection
from reactorhost.errors import ReactorhostError
from reactorhost.master.rundir import RunDirectory
from reactorhost.system.fork import ForkRegistry
from reactorhost.system.own_file import FileState


def states(rundir: RunDirectory) -> list[FileState]:
    return [state for _, state, _ in rundir.written()]


def test_a_workers_file_that_could_not_be_written_is_written_later(tmp_path: Path) -> None:
    rundir = RunDirectory(tmp_path / "run", tmp_path / "pid", ForkRegistry(), Selection("the host", ""))
    rundir.prepare()
    rundir.take_lock()
    try:
        rundir.write_workers([(0, 11, 1)])
        assert states(rundir) == [FileState.PRESENT]
        rundir.lock_file.unlink()
        with pytest.raises(ReactorhostError, match="was removed"):
            rundir.write_workers([(0, 12, 2)])
        rundir.take_lock_again()
        assert states(rundir) == [FileState.MISSING]
        ((path, _, write),) = rundir.written()
        write()
        assert (path, path.read_text()) == (rundir.workers_file, "0 12 2\n")
        assert states(rundir) == [FileState.PRESENT]
    finally:
        rundir.close_lock()
