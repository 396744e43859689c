"""The run directory is safe from other users, and its lock identifies the process that runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from reactorhost.cli.parameters.options import location_from
from reactorhost.config import default_paths
from reactorhost.config.default_paths import Selection
from reactorhost.errors import AlreadyRunningError, NotPermittedError, ReactorhostError
from reactorhost.master.instances import check_alone, find, running
from reactorhost.master.run_lock import holder_pid
from reactorhost.master.rundir import RunDirectory
from reactorhost.system.fork import ForkRegistry
from reactorhost.system.own_file import FileState


def directory(path: Path) -> RunDirectory:
    return RunDirectory(path, path / "master.pid", ForkRegistry(), Selection("the host", ""))


def locked_elsewhere(path: Path) -> subprocess.Popen[bytes]:
    """Return a process that holds the lock of a run directory until its standard input ends."""
    code = (
        "import sys; from pathlib import Path; from reactorhost.master.rundir import RunDirectory\n"
        "from reactorhost.config.default_paths import Selection\n"
        "from reactorhost.system.fork import ForkRegistry\n"
        "selected = Selection('the host', '')\n"
        f"run = RunDirectory(Path({str(path)!r}), Path({str(path / 'master.pid')!r}), ForkRegistry(), selected)\n"
        "run.prepare(); run.take_lock(); print('held', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    return process


def end(process: subprocess.Popen[bytes]) -> None:
    process.communicate(timeout=30)


def test_a_directory_that_does_not_exist_has_no_holder(tmp_path: Path) -> None:
    assert holder_pid(tmp_path / "none") is None
    assert running([tmp_path / "none"]) == {}


def test_the_lock_has_a_holder_until_that_process_ends_in_any_way(tmp_path: Path) -> None:
    process = locked_elsewhere(tmp_path / "one")
    assert holder_pid(tmp_path / "one") == process.pid
    assert running([tmp_path]) == {"one": tmp_path / "one"}
    process.kill()
    end(process)
    assert (tmp_path / "one" / "lock").exists(), "a killed process removes nothing"
    assert holder_pid(tmp_path / "one") is None
    ours = directory(tmp_path / "one")
    ours.prepare()
    ours.take_lock()
    ours.clean_up()
    assert not (tmp_path / "one").exists(), "the next one removes what it left"


def test_the_error_of_a_second_host_names_the_first(tmp_path: Path) -> None:
    process = locked_elsewhere(tmp_path / "one")
    ours = directory(tmp_path / "one")
    ours.prepare()
    with pytest.raises(AlreadyRunningError, match=f"pid {process.pid}"):
        ours.take_lock()
    ours.clean_up()
    assert holder_pid(tmp_path / "one") == process.pid, "only the holder of the lock removes the files"
    end(process)


def test_an_instance_is_found_in_any_place_and_runs_in_one(tmp_path: Path) -> None:
    bases = [tmp_path / "login", tmp_path / "unit"]
    process = locked_elsewhere(bases[1] / "one")
    assert find("one", bases) == bases[1] / "one"
    assert find("two", bases) is None
    assert running(bases) == {"one": bases[1] / "one"}
    with pytest.raises(AlreadyRunningError, match=f"host 'one' already runs in {bases[1] / 'one'}, pid {process.pid}"):
        check_alone("one", bases[0] / "one", bases)
    check_alone("two", bases[0] / "two", bases)
    check_alone("one", bases[1] / "one", bases)
    # With a run directory of its own, it may have the same name.
    check_alone("one", tmp_path / "own", bases)
    end(process)


def test_a_command_finds_a_host_in_another_place_and_prints_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Root has one place only.
    bases = (Path("/run/reactorhost"), tmp_path)
    monkeypatch.setattr(default_paths, "base_dirs", lambda environ, uid: bases)
    name = tmp_path.name
    process = locked_elsewhere(tmp_path / name)
    assert location_from({"name": name}).run_dir == tmp_path / name
    assert capsys.readouterr().err == f"host {name!r} runs in {tmp_path / name}\n"
    assert location_from({"name": name, "run_dir": "/elsewhere"}).run_dir == Path("/elsewhere")
    assert location_from({"name": "another"}).run_dir == default_paths.default_run_dir("another", {}, os.geteuid())
    end(process)
    assert location_from({"name": name}).run_dir == default_paths.default_run_dir(name, {}, os.geteuid())


def test_a_query_never_takes_the_lock(tmp_path: Path) -> None:
    ours = directory(tmp_path / "one")
    ours.prepare()
    (tmp_path / "one" / "lock").touch()
    assert holder_pid(tmp_path / "one") is None
    ours.take_lock()
    ours.clean_up()
    assert list(tmp_path.iterdir()) == []


def test_a_forked_child_does_not_keep_the_lock(tmp_path: Path) -> None:
    ours = directory(tmp_path / "one")
    ours.prepare()
    ours.take_lock()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writer)
        os.read(reader, 1)
        os._exit(0)
    os.close(reader)
    ours.close_lock()
    assert holder_pid(tmp_path / "one") is None
    os.close(writer)
    os.waitpid(child, 0)


def test_a_pid_file_of_another_process_is_not_removed(tmp_path: Path) -> None:
    ours = directory(tmp_path / "one")
    ours.prepare()
    ours.take_lock()
    ours.write_pid_file()
    assert ours.pid_file.read_text() == f"{os.getpid()}\n"
    ours.pid_file.unlink()
    ours.pid_file.write_text("1\n")
    ours.clean_up()
    assert ours.pid_file.read_text() == "1\n"


@pytest.mark.parametrize("depth", [0, 1])
def test_a_directory_that_others_can_write_to_is_refused(tmp_path: Path, depth: int) -> None:
    path = tmp_path / "base" / "one"
    path.mkdir(parents=True)
    (path, path.parent)[depth].chmod(0o777)
    with pytest.raises(NotPermittedError, match="other users can write to"):
        directory(path).prepare()
    (path, path.parent)[depth].chmod(0o1777)
    directory(path).prepare()


def test_a_file_in_the_place_of_the_directory_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("")
    with pytest.raises(NotPermittedError, match="is not a directory"):
        directory(tmp_path / "one").prepare()
    with pytest.raises(ReactorhostError, match="cannot create the run directory"):
        directory(tmp_path / "one" / "two").prepare()


def test_a_lock_whose_file_was_removed_is_taken_again(tmp_path: Path) -> None:
    ours = directory(tmp_path / "one")
    ours.prepare()
    ours.take_lock()
    ours.write_pid_file()
    ours.write_workers([(0, 1, 1)])
    shutil.rmtree(tmp_path / "one")
    assert ours.state() is FileState.MISSING
    assert holder_pid(tmp_path / "one") is None
    ours.take_lock_again()
    assert ours.state() is FileState.PRESENT
    assert [(path, state) for path, state, _ in ours.written()] == [
        (ours.pid_file, FileState.MISSING),
        (ours.workers_file, FileState.MISSING),
    ]
    for _, _, write in ours.written():
        write()
    assert ours.workers_file.read_text() == "0 1 1\n"
    ours.clean_up()
    assert list(tmp_path.iterdir()) == []


def test_a_lock_whose_file_is_there_again_is_not_lost(tmp_path: Path) -> None:
    ours = directory(tmp_path / "one")
    ours.prepare()
    ours.take_lock()
    # As when the file was moved away and back, between the look at it and this.
    ours.take_lock_again()
    # Not `holder_pid` in this process: closing any descriptor of the file ends its locks.
    code = (
        "import sys; from pathlib import Path; from reactorhost.master.run_lock import holder_pid\n"
        "print(holder_pid(Path(sys.argv[1])))"
    )
    asked = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "one")], capture_output=True, text=True, check=True
    )
    assert asked.stdout == f"{os.getpid()}\n"
    ours.clean_up()


def test_a_second_name_of_its_directory_is_not_taken_for_another_host(tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to(tmp_path / "base")
    places = [tmp_path / "alias", tmp_path / "base"]
    code = (
        "import sys; from pathlib import Path; from reactorhost.master.instances import check_alone\n"
        "from reactorhost.config.default_paths import Selection\n"
        "from reactorhost.master.rundir import RunDirectory; from reactorhost.system.fork import ForkRegistry\n"
        "bases = [Path(each) for each in sys.argv[1:]]; path = bases[0] / 'one'\n"
        "run = RunDirectory(path, path / 'master.pid', ForkRegistry(), Selection('the host', ''))\n"
        "run.prepare(); run.take_lock(); check_alone('one', path, bases); print('alone', flush=True); sys.stdin.read()"
    )
    (tmp_path / "base").mkdir()
    command = [sys.executable, "-c", code, *map(str, places)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"alone\n"
        # A process that closes any descriptor of the file loses the lock.
        assert holder_pid(tmp_path / "base" / "one") == process.pid
        process.communicate(timeout=30)


def test_a_directory_that_another_host_has_taken_is_left_alone(tmp_path: Path) -> None:
    ours = directory(tmp_path / "one")
    ours.prepare()
    ours.take_lock()
    (tmp_path / "one" / "lock").unlink()
    process = locked_elsewhere(tmp_path / "one")
    for name in ("control.sock", "workers.pid"):
        (tmp_path / "one" / name).write_text("of the other")
    assert ours.state() is FileState.REPLACED
    with pytest.raises(AlreadyRunningError, match=f"pid {process.pid}"):
        ours.take_lock_again()
    with pytest.raises(ReactorhostError, match="was removed"):
        ours.write_workers([(0, 1, 1)])
    ours.clean_up()
    assert sorted(os.listdir(tmp_path / "one")) == ["control.sock", "lock", "workers.pid"]
    assert holder_pid(tmp_path / "one") == process.pid
    end(process)
