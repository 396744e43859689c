"""`systemd-unit` prints the command that starts the same host from anywhere."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest

from reactorhost.cli import main


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[str, str]:
    with pytest.raises(SystemExit) as caught:
        main(["systemd-unit", *arguments])
    assert caught.value.code == 0
    out, err = capsys.readouterr()
    return out, err


@pytest.fixture(autouse=True)
def _directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PWD", str(tmp_path))
    (tmp_path / "own.py").touch()
    (tmp_path / "host.toml").write_text("[host]\ndaemon = true\nboot_timeout = 100\n")


def test_the_command_has_the_flags_with_absolute_paths_and_stays_in_the_foreground(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    flags = (
        "--config",
        "host.toml",
        "--plugin",
        "./own.py",
        "--plugin",
        "echo",
        "--name",
        "chat",
        "--log-file",
        "-",
        "-d",
    )
    out, _ = printed(capsys, *flags, "--listen", "tcp://127.0.0.1:7000", "--workers", "3", "--no-debug")
    (line,) = (line for line in out.splitlines() if line.startswith("ExecStart="))
    words = shlex.split(line.partition("=")[2])
    assert os.access(words[0], os.X_OK)
    start = words.index("start")
    assert " ".join(words[start:]) == (
        f"start --foreground --plugin {tmp_path}/own.py --plugin echo --listen tcp://127.0.0.1:7000 "
        f"--config {tmp_path}/host.toml --workers 3 --name chat --log-file - --no-debug"
    )
    # The settings of the file count.
    assert "TimeoutStartSec=210" in out.splitlines()


@pytest.mark.parametrize(("version", "kind"), [("252", "notify"), ("253", "notify-reload")])
def test_the_version_of_systemd_may_be_named(capsys: pytest.CaptureFixture[str], version: str, kind: str) -> None:
    out, _ = printed(capsys, "--plugin", "echo", "--systemd-version", version)
    assert f"Type={kind}" in out.splitlines()


@pytest.mark.parametrize(("answer", "kind"), [("systemd 252 (252.1)", "notify"), ("systemd 254~rc1", "notify-reload")])
def test_the_installed_version_counts(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, kind: str
) -> None:
    program = tmp_path / "systemctl"
    program.write_text(f"#!/bin/sh\necho '{answer}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    out, _ = printed(capsys, "--plugin", "echo")
    assert f"Type={kind}" in out.splitlines()


def test_without_systemd_the_unit_is_for_a_new_one(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    out, _ = printed(capsys, "--plugin", "echo")
    assert "Type=notify-reload" in out.splitlines()


def test_settings_of_the_environment_are_reported_because_the_unit_lacks_them(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REACTORHOST_WORKERS", "3")
    _, err = printed(capsys, "--plugin", "echo")
    assert "REACTORHOST_WORKERS is set here and not in the unit: use --workers" in err


@pytest.mark.parametrize(("user", "exists", "reported"), [(0, False, True), (0, True, False), (1000, False, False)])
def test_a_folder_that_has_to_exist_is_reported(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    user: int,
    exists: bool,
    reported: bool,
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)
    folder = tmp_path / "pids"
    if exists:
        folder.mkdir()
    _, err = printed(capsys, "--plugin", "echo", "--pid-file", str(folder / "chat.pid"))
    assert (f"{folder} does not exist: make it before the service starts" in err) is reported


def test_variables_and_paths_of_plugins_that_the_unit_lacks_are_reported(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    (tmp_path / "host.toml").write_text('[plugin.echo]\nsecret = { env = "KEY" }\nstate_dir = "/var/lib/chat"\n')
    arguments = ("--plugin", "echo", "--config", "host.toml")
    _, err = printed(capsys, *arguments)
    missing = f"{tmp_path}/host.env does not exist: make it before the service starts, with the variables KEY\n"
    assert f"reactorhost: warning: {missing}  hint: one NAME=value a line" in err
    assert "warning: the unit does not let plugins write to the paths of echo.state_dir\n  hint: add the folders" in err
    _, err = printed(capsys, "--socket", *arguments)
    assert "KEY" not in err
    assert "echo.state_dir" not in err


def test_the_socket_unit_is_printed_instead(capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = printed(capsys, "--socket", "--plugin", "echo", "--listen", "tcp://127.0.0.1:7000")
    assert "ListenStream=127.0.0.1:7000" in out.splitlines()
    assert "ExecStart" not in out
