"""A TOML file is read with its lines; every error has file and line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactorhost.config.settings import Layer
from reactorhost.config.toml_file import parse, read
from reactorhost.errors import ConfigError, Problem

FILE = Path("/etc/host.toml")


def problem_of(text: str) -> Problem:
    with pytest.raises(ConfigError) as caught:
        parse(text, FILE)
    (problem,) = caught.value.problems
    return problem


def test_keys_have_their_line() -> None:
    file = parse("[host]\n\nworkers = 4\n", FILE)
    assert file.data == {"host": {"workers": 4}}
    assert file.origin("host", "workers").where == "/etc/host.toml:3"
    assert file.origin("host", "workers").layer is Layer.FILE


def test_a_missing_key_has_the_line_of_its_table() -> None:
    file = parse("\n[service.web]\n", FILE)
    assert file.origin("service", "web", "listen").where == "/etc/host.toml:2"
    assert file.origin("plugin", "echo").where == "/etc/host.toml"


def test_a_syntax_error_is_reported_with_its_line() -> None:
    problem = problem_of('[host]\nworkers = 4\nname = "web\n')
    assert problem.where == "/etc/host.toml:3"
    assert "not valid TOML" in problem.what
    assert "line 3" not in problem.what


def test_a_syntax_error_at_the_end_has_the_last_line() -> None:
    problem = problem_of("[host]\nworkers = [\n1,\n")
    assert problem.where == "/etc/host.toml:3"
    assert problem_of("a = ").where == "/etc/host.toml:1"


def test_a_repeated_key_is_reported_with_the_second_line() -> None:
    assert problem_of("[host]\nname = 'a'\nname = 'b'\n").where == "/etc/host.toml:3"


def test_nesting_that_is_too_deep_is_reported() -> None:
    assert "nested too deeply" in problem_of("a = " + "[" * 100_000).what


def test_a_number_too_long_for_python_is_reported() -> None:
    assert problem_of("a = " + "1" * 5000).where == "/etc/host.toml"


def test_a_missing_file_is_reported_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path / "none.toml")
    assert caught.value.problems[0].where == str(tmp_path / "none.toml")
    assert "No such file" in caught.value.what


def test_a_directory_is_not_a_configuration_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read the configuration file: Is a directory"):
        read(tmp_path)


def test_a_file_that_is_not_utf_8_is_reported_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "latin.toml"
    path.write_bytes(b"[host]\nname = 'caf\xe9'\n")
    with pytest.raises(ConfigError) as caught:
        read(path)
    assert caught.value.problems[0].where == f"{path}:2"


@given(st.text(st.sampled_from("ab.[]{}=,\"'\\#\n 1-"), max_size=40))
def test_every_text_is_either_read_or_refused_with_a_configuration_error(text: str) -> None:
    reported: tuple[Problem, ...] = ()
    keys: set[str] = set()
    try:
        file = parse(text, FILE)
    except ConfigError as error:
        reported = error.problems
    else:
        keys = set(file.data)
        assert {path[0] for path in file.lines} == keys
    assert all((problem.where or "").startswith(f"{FILE}") for problem in reported)
    assert not (reported and keys)


def test_a_device_without_an_end_is_refused() -> None:
    with pytest.raises(ConfigError, match="longer than 1 MiB"):
        read(Path("/dev/zero"))
