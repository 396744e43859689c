"""Options of plugins come from tables, flags and environment; the strongest is kept with its origin."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactorhost.config.plugin_tables import FromEnvironment, FromFile, OptionText
from reactorhost.config.problems import FlagError
from reactorhost.config.resolve import resolve
from reactorhost.config.settings import Settings
from reactorhost.errors import ConfigError, Problem
from reactorhost.plugins.option_text import toml

CWD = Path("/home/op")
PLUGINS = ("echo", "my.chat:Greeter", "./made.py", "lib/v1.2.py")
SERVICE = "[service.web]\nlisten = 'tcp://*:1'\nplugins = 'echo'\n"


def settings(
    *lines: str,
    environ: Mapping[str, str] | None = None,
    config: Path | None = None,
    plugins: tuple[str, ...] = PLUGINS,
) -> Settings:
    flags = {"set": lines, "config": config and str(config), "plugins": plugins}
    return resolve(flags, environ or {}, CWD, uid=1000, cpus=lambda: 4)


def texts(found: Settings) -> dict[str, dict[str, str]]:
    return {
        name: {key: value.text for key, value in table.items() if isinstance(value, OptionText)}
        for name, table in found.plugin_tables.items()
    }


def problems(*lines: str, environ: Mapping[str, str] | None = None) -> tuple[Problem, ...]:
    with pytest.raises(ConfigError) as caught:
        settings(*lines, environ=environ)
    assert isinstance(caught.value, FlagError) is bool(lines)
    return caught.value.problems


def problems_of(path: Path) -> tuple[Problem, ...]:
    with pytest.raises(ConfigError) as caught:
        settings(config=path, plugins=())
    assert not isinstance(caught.value, FlagError)
    return caught.value.problems


# Texts of flags and environment


@pytest.mark.parametrize(
    ("line", "table", "key", "text"),
    [
        ("echo.limit=5", "echo", "limit", "5"),
        ("echo.limit=", "echo", "limit", ""),
        ("echo.limit= a=b ", "echo", "limit", " a=b "),
        (" echo . limit =x", "echo", "limit", "x"),
        ("echo.grüße=日本\n\t", "echo", "grüße", "日本\n\t"),
        ("my.chat:Greeter.greeting=hi. there", "my.chat:Greeter", "greeting", "hi. there"),
        ("made.limit=1", "made", "limit", "1"),
        ("./made.py.limit=1", "made", "limit", "1"),
        ("made.py.limit=1", "made", "limit", "1"),
        ("/elsewhere/made.py.limit=1", "made", "limit", "1"),
        ("v1.2.limit=1", "v1.2", "limit", "1"),
        ("echo.py=1", "echo", "py", "1"),
    ],
)
def test_a_text_goes_to_the_table_before_its_last_dot(line: str, table: str, key: str, text: str) -> None:
    assert texts(settings(line)) == {table: {key: text}}


@given(st.sampled_from(["echo", "my.chat:Greeter", "made", "v1.2"]), st.text(min_size=1), st.text())
def test_everything_after_the_equals_sign_is_kept(table: str, key: str, text: str) -> None:
    if key.strip() != key or "." in key or "=" in key:
        return
    assert texts(settings(f"{table}.{key}={text}")) == {table: {key: text}}


def test_a_flag_overrides_the_environment_which_overrides_the_file(tmp_path: Path) -> None:
    path = tmp_path / "host.toml"
    path.write_text(SERVICE + "[plugin.echo]\na = 1\nb = 2\nc = 3\n")
    environ = {"REACTORHOST_SET": "echo.b=two, and more\n\n  echo.c=x\n"}
    found = settings("echo.c=three", "echo.d=4", environ=environ, config=path)
    assert found.plugin_tables["echo"]["a"] == 1
    assert texts(found)["echo"] == {"b": "two, and more", "c": "three", "d": "4"}
    origins = {key: str(found.origins[f"plugin.echo.{key}"]) for key in "abcd"}
    assert origins == {
        "a": f"{path}:5",
        "b": "environment REACTORHOST_SET",
        "c": "flag --set",
        "d": "flag --set",
    }


def test_a_later_text_overrides_an_earlier_one() -> None:
    assert texts(settings("echo.a=1", "echo.b=2", "echo.a=3")) == {"echo": {"a": "3", "b": "2"}}


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("x", "'x'"),
        ("", "''"),
        ("=", "'=...'"),
        ("=hunter2", "'=...'"),
        ("limit=hunter2", "'limit=...'"),
        (".limit=hunter2", "'.limit=...'"),
        ("echo.=hunter2", "'echo.=...'"),
        ("echo.limit", "'echo.limit'"),
        ("x" * 100_000, f"'{'x' * 56}..."),
    ],
)
def test_a_malformed_text_is_reported_without_its_value(line: str, shown: str) -> None:
    hint = "for example --set echo.limit=5"
    assert problems(line) == (Problem(f"--set must be NAME.key=value, not {shown}", "--set", hint),)
    if line.strip():
        reported = problems(environ={"REACTORHOST_SET": line})
        assert reported == (Problem(f"REACTORHOST_SET must be NAME.key=value, not {shown}", "REACTORHOST_SET", hint),)


def test_a_text_for_a_plugin_that_no_service_names_is_reported() -> None:
    what = "is for a plugin that no service uses"
    first, second, third = problems("ecko.limit=1", "chat:Greeter.x=hunter2", "./mode.py.x=2")
    assert first == Problem(f"--set ecko.limit {what}", "--set", "did you mean 'echo'?")
    assert second == Problem(f"--set chat:Greeter.x {what}", "--set", "did you mean 'my.chat:Greeter'?")
    assert third == Problem(f"--set ./mode.py.x {what}", "--set", "did you mean 'made'?")


def test_a_text_for_a_plugin_that_flags_replaced_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "host.toml"
    path.write_text(SERVICE)
    with pytest.raises(FlagError, match=r"--set echo\.a is for a plugin that no service uses"):
        settings("echo.a=1", config=path, plugins=("./made.py",))


def test_also_named_plugins_may_have_options() -> None:
    flags = {"set": ("chat.a=1",)}
    found = resolve(flags, {}, CWD, uid=1000, cpus=lambda: 4, needs_plugin=False, also_named=("chat",))
    assert texts(found) == {"chat": {"a": "1"}}


def test_the_repr_of_settings_does_not_contain_a_text() -> None:
    assert "hunter2" not in repr(settings("echo.password=hunter2"))


# References to variables and files


def test_a_value_can_refer_to_a_variable_or_a_file(tmp_path: Path) -> None:
    path = tmp_path / "host.toml"
    path.write_text(
        SERVICE + "[plugin.echo]\na = { env = 'A_B' }\nb = { file = 'keys/b' }\nc = { file = '/run/c' }\n"
        "[plugin.echo.d]\nenv = 'D'\n"
    )
    found = settings(config=path, plugins=())
    assert found.plugin_tables["echo"] == {
        "a": FromEnvironment("A_B"),
        "b": FromFile(tmp_path / "keys/b"),
        "c": FromFile(Path("/run/c")),
        "d": FromEnvironment("D"),
    }
    assert found.where_option("echo", "a") == f"{path}:5"
    assert found.where_option("echo", "missing") == f"{path}:4"
    assert found.where_option("other", "missing") is None
    assert str(FromEnvironment("A_B")) == '{ env = "A_B" }'
    assert str(FromFile(Path("/run/c"))) == '{ file = "/run/c" }'


@pytest.mark.parametrize(
    "table",
    [{"env": {"servers": ["tcp://[::1]:9"]}}, {"env": 5}, {"env": ""}, {"file": True}, {"env": "X", "file": "y"}],
)
def test_a_table_that_is_no_reference_is_kept_for_the_plugin(tmp_path: Path, table: dict[str, object]) -> None:
    path = tmp_path / "host.toml"
    path.write_text(SERVICE + f"[plugin.echo]\npools = {toml(table)}\n")
    found = settings(config=path, plugins=())
    assert found.plugin_tables["echo"] == {"pools": table}
