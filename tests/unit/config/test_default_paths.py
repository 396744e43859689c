"""The run directory follows from user and environment, without any access to the disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from reactorhost.config.default_paths import Selection, base_dir, default_run_dir, selection


def test_root_uses_run() -> None:
    assert default_run_dir("web", {"XDG_RUNTIME_DIR": "/run/user/0"}, 0) == Path("/run/reactorhost/web")


def test_a_user_uses_the_xdg_runtime_directory() -> None:
    assert default_run_dir("web", {"XDG_RUNTIME_DIR": "/run/user/1000"}, 1000) == Path("/run/user/1000/reactorhost/web")


@pytest.mark.parametrize("runtime", ["", "relative"])
def test_without_a_valid_runtime_directory_a_user_has_one_in_the_temp_directory(runtime: str) -> None:
    assert base_dir({"XDG_RUNTIME_DIR": runtime, "TMPDIR": "/var/tmp"}, 1000) == Path("/var/tmp/reactorhost-1000")


@pytest.mark.parametrize("environ", [{}, {"TMPDIR": ""}, {"TMPDIR": "here"}])
def test_the_temp_directory_is_tmp_by_default(environ: dict[str, str]) -> None:
    assert base_dir(environ, 7) == Path("/tmp/reactorhost-7")


@pytest.mark.parametrize(
    ("name", "run_dir", "expected"),
    [
        ("default", "/run/reactorhost/default", Selection("host 'default'", "")),
        ("chat", "/run/reactorhost/chat", Selection("host 'chat'", " --name chat")),
        ("default", "/srv/default", Selection("the host in /srv/default", " --run-dir /srv/default")),
        ("chat", "/srv/my host", Selection("the host in /srv/my host", " --run-dir '/srv/my host'")),
    ],
)
def test_messages_name_what_selects_the_host(name: str, run_dir: str, expected: Selection) -> None:
    assert selection(name, Path(run_dir), {}, 0) == expected
