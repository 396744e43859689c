"""The run directory follows from user and environment, without any access to the disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from reactorhost.config.default_paths import Selection, base_dir, base_dirs, default_run_dir, selection


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


def test_a_user_has_a_place_for_each_way_to_start_a_host() -> None:
    login = {"XDG_RUNTIME_DIR": "/run/user/1000", "TMPDIR": "/var/tmp"}
    usual = Path("/run/user/1000/reactorhost")
    assert base_dirs(login, 1000) == (usual, Path("/var/tmp/reactorhost-1000"), Path("/tmp/reactorhost-1000"))
    assert base_dirs({}, 1000) == (Path("/tmp/reactorhost-1000"), usual)
    assert base_dirs({"XDG_RUNTIME_DIR": "/x"}, 1000)[0] == Path("/x/reactorhost")
    assert base_dirs(login, 0) == (Path("/run/reactorhost"),)


@pytest.mark.parametrize(
    ("name", "run_dir", "expected"),
    [
        ("default", "/run/reactorhost/default", Selection("host 'default'", "")),
        ("chat", "/run/reactorhost/chat", Selection("host 'chat'", " --name chat")),
        ("default", "/srv/default", Selection("host 'default' in /srv/default", " --run-dir /srv/default")),
        ("chat", "/srv/my host", Selection("host 'chat' in /srv/my host", " --run-dir '/srv/my host'")),
        (None, "/run/reactorhost/default", Selection("the host in /run/reactorhost/default", "{}")),
        ("web", "/run/reactorhost/chat", Selection("host 'web' in /run/reactorhost/chat", "{}")),
    ],
)
def test_messages_name_what_selects_the_host(name: str | None, run_dir: str, expected: Selection) -> None:
    flags = expected.flags.format(f" --run-dir {run_dir}")
    assert selection(name, Path(run_dir), {}, 0) == Selection(expected.host, flags)


@pytest.mark.parametrize(
    ("variable", "name", "flags"),
    [
        ("REACTORHOST_NAME", "default", " --name default"),
        ("REACTORHOST_NAME", "chat", " --name chat"),
        ("REACTORHOST_RUN_DIR", "chat", " --run-dir /run/reactorhost/chat"),
        ("REACTORHOST_CONFIG", "default", " --run-dir /run/reactorhost/default"),
    ],
)
def test_the_flags_of_a_hint_select_the_same_host_where_variables_select_another(
    variable: str, name: str, flags: str
) -> None:
    assert selection(name, Path("/run/reactorhost", name), {variable: "another"}, 0).flags == flags


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("use `reactorhost restart` for it", "use `reactorhost restart --name chat` for it"),
        ("`reactorhost scale 2-8`, or a file", "`reactorhost scale 2-8 --name chat`, or a file"),
        ("use `/srv/venv/bin/reactorhost restart`", "use `/srv/venv/bin/reactorhost restart --name chat`"),
        (
            "`reactorhost reopen` or `reactorhost reload`",
            "`reactorhost reopen --name chat` or `reactorhost reload --name chat`",
        ),
        ("`reactorhost stop --run-dir /srv`", "`reactorhost stop --run-dir /srv`"),
        ("`reactorhost plugins`", "`reactorhost plugins`"),
    ],
)
def test_the_commands_in_a_text_get_the_flags_that_they_lack(text: str, expected: str) -> None:
    assert Selection("host 'chat'", " --name chat").in_commands(text) == expected
