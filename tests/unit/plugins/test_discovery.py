"""Plugins are found by metadata alone, and damaged metadata of other distributions is ignored."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest

from reactorhost.errors import PluginError
from reactorhost.plugins import discovery, name_hints
from reactorhost.plugins.identity import PluginIdentity


@pytest.fixture(autouse=True)
def _only_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    everything = metadata.distributions

    def below_tmp_path() -> list[metadata.Distribution]:
        return [found for found in everything() if Path(str(found.locate_file(""))).is_relative_to(tmp_path)]

    monkeypatch.setattr(metadata, "distributions", below_tmp_path)


def _echo(name: str = "echo", value: str = "made_echo") -> str:
    return f"[reactorhost]\n{name} = {value}\n"


def test_an_installed_plugin_is_found_without_importing_it(install: Callable[..., Path]) -> None:
    install("reactorhost-echo", _echo(), modules={"made_echo.py": "raise SystemExit"})
    assert discovery.find("echo") == PluginIdentity("echo", "reactorhost-echo", "1.0", "made_echo")
    assert "made_echo" not in sys.modules


def test_installed_lists_every_plugin_of_every_distribution_by_name(install: Callable[..., Path]) -> None:
    install("reactorhost-two", "[reactorhost]\nzebra = z\nant = a:b\n\n[console_scripts]\nrun = x:y\n")
    install("reactorhost-echo", _echo())
    install("unrelated", "[pytest11]\nother = o\n")
    install("silent", None)
    assert [identity.name for identity in discovery.installed()] == ["ant", "echo", "zebra"]


def test_an_unknown_name_suggests_a_similar_one_and_lists_the_installed(install: Callable[..., Path]) -> None:
    install("reactorhost-echo", _echo())
    install("reactorhost-accesslog", _echo("accesslog", "log"))
    with pytest.raises(PluginError) as caught:
        discovery.find("ecko")
    assert caught.value.what == "no plugin named 'ecko' is installed"
    assert caught.value.hint == "did you mean 'echo'? installed: accesslog, echo"
    assert caught.value.exit_status == 4


def _hint(named: str) -> str | None:
    with pytest.raises(PluginError) as caught:
        discovery.find(named)
    return caught.value.hint


def test_an_unknown_name_without_a_similar_one_suggests_no_distribution_of_others() -> None:
    assert _hint("forum") == "no plugin is installed"


@pytest.mark.parametrize("named", ["forum", "reactorhost-forum", "Reactorhost_Forum"])
def test_a_packaged_plugin_that_is_not_installed_is_suggested(named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    required = ["click>=8.1", 'reactorhost-forum; extra == "all"']
    monkeypatch.setattr(metadata, "requires", lambda distribution: required)
    install = "in a clone of reactorhost: pip install ./plugins/reactorhost-forum"
    assert _hint(named) == f"{install}; no plugin is installed"
    assert _hint("other") == "no plugin is installed"


@pytest.mark.parametrize(("folder", "path"), [("", "."), ("reactorhost-forum", "./reactorhost-forum")])
def test_a_package_that_is_here_and_not_installed_is_suggested(
    folder: str, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / folder).mkdir(exist_ok=True)
    (tmp_path / folder / "pyproject.toml").write_text('[project.entry-points.reactorhost]\nforum = "forum"\n')
    monkeypatch.chdir(tmp_path)
    assert _hint("forum") == f"its package is not installed: pip install -e {path}; no plugin is installed"
    assert _hint("other") == "no plugin is installed"


@pytest.mark.parametrize("text", ["not TOML", "project = 1", '[project]\nname = "reactorhost-forum"\n'])
def test_another_pyproject_suggests_nothing(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    monkeypatch.chdir(tmp_path)
    assert _hint("forum") == "no plugin is installed"


@pytest.mark.parametrize("named", ["reactorhost-chat", "Reactorhost_Chat", "made_chatter", "chat"])
def test_the_name_of_a_distribution_or_module_suggests_its_plugin(install: Callable[..., Path], named: str) -> None:
    install("reactorhost-chat", _echo("talk", "made_chatter:plugin"))
    assert _hint(named) == "did you mean 'talk'? installed: talk"


@pytest.mark.parametrize("named", ["silent", "reactorhost-silent"])
def test_a_distribution_without_an_entry_point_is_named_with_what_it_lacks(
    install: Callable[..., Path], named: str
) -> None:
    install("reactorhost-silent", None)
    hint = _hint(named) or ""
    assert hint.startswith("reactorhost-silent 1.0 has no plugin: add [project.entry-points.reactorhost] to its")


def test_a_distribution_with_a_bus_is_not_taken_for_a_plugin(install: Callable[..., Path]) -> None:
    install("reactorhost-carrier", "[reactorhost.bus]\ncarriers = c:b\ncarrier = c:b\n")
    assert _hint("carrier") == (
        "reactorhost-carrier 1.0 is a bus, not a plugin: use --bus-url carrier://…; no plugin is installed"
    )


@pytest.mark.parametrize(
    ("named", "hint"),
    [
        ("made", "to serve the file, write ./made.py; no plugin is installed"),
        ("made.Thing", "did you mean 'made:Thing'? no plugin is installed"),
        ("./made", "did you mean './made.py'?"),
        ("./made.py:Thing", "write made:Thing"),
        ("sub/other.py:Thing", "write other:Thing, with {folder}/sub on PYTHONPATH"),
        ("./mode.py", "did you mean '{folder}/made.py'?"),
        ("./nowhere/made.py", "there is no folder {folder}/nowhere"),
        ("./zzz.py", "check the path of the file"),
    ],
)
def test_a_file_that_was_named_in_another_way_is_suggested(
    plugin_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, named: str, hint: str
) -> None:
    folder = plugin_file("").parent
    (folder / "sub").mkdir()
    plugin_file("", "sub/other")
    monkeypatch.chdir(folder)
    monkeypatch.setattr(name_hints, "searches_cwd", lambda: True)
    assert _hint(named) == hint.format(folder=folder)


@pytest.mark.parametrize("name", ["", " ", "a b; rm", "--help"])
def test_an_invalid_name_is_refused_without_a_command_to_paste(name: str) -> None:
    with pytest.raises(PluginError) as caught:
        discovery.find(name)
    assert "pip" not in (caught.value.hint or "")


def test_two_distributions_claiming_one_name_are_both_named(install: Callable[..., Path]) -> None:
    install("reactorhost-echo", _echo())
    install("fast-echo", _echo(), version="2.3")
    with pytest.raises(PluginError, match=r"fast-echo 2\.3 and reactorhost-echo 1\.0 both have a plugin named 'echo'"):
        discovery.find("echo")
    assert len(discovery.installed()) == 2


def test_a_distribution_found_twice_is_the_first_on_the_path(install: Callable[..., Path]) -> None:
    install("reactorhost-echo", _echo(), version="1.0", folder="old")
    install("Reactorhost_Echo", _echo(), version="2.0", folder="new")
    assert discovery.find("echo").version == "2.0"


@pytest.mark.parametrize(
    "entry_points",
    [
        b"[reactorhost]\nthis is no entry\n",
        b"\xff\xfe[reactorhost]\n",
        b"[[[\n=",
        b"no section\n",
        b"[reactorhost]\n=\n",
    ],
)
def test_broken_metadata_of_another_distribution_is_ignored(install: Callable[..., Path], entry_points: bytes) -> None:
    site = install("unrelated", "")
    (site / "unrelated-1.0.dist-info" / "entry_points.txt").write_bytes(entry_points)
    install("reactorhost-echo", _echo())
    assert discovery.find("echo").distribution == "reactorhost-echo"


def test_a_plugin_is_found_although_its_distribution_lost_its_metadata(install: Callable[..., Path]) -> None:
    site = install("reactorhost-echo", _echo())
    (site / "reactorhost_echo-1.0.dist-info" / "METADATA").unlink()
    assert discovery.find("echo").target == "made_echo"


def test_a_file_is_named_by_its_stem(plugin_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    path = plugin_file("", "chat.server")
    monkeypatch.chdir(path.parent)
    for named in (str(path), "./chat.server.py", "chat.server.py"):
        assert discovery.find(named) == PluginIdentity("chat.server", None, None, str(path))
        assert discovery.name_of(named) == "chat.server"


def test_a_missing_file_is_reported_with_its_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PluginError, match=f"there is no plugin file {tmp_path}/missing.py"):
        discovery.find("./missing.py")


def test_an_object_is_named_by_module_and_attribute() -> None:
    named = "my.package:thing.inner"
    assert discovery.find(named) == PluginIdentity(named, None, None, named)
    assert discovery.split_target(named) == ("my.package", "thing.inner")
    assert discovery.split_target("alone") == ("alone", "")
    assert discovery.split_target("a.b : c [extra]") == ("a.b", "c")


@pytest.mark.parametrize("named", ["module:", ":object", "a b:c", "a:b:c", "1a:b", "a:b-c", "tcp://x:1"])
def test_a_malformed_object_name_is_refused_with_the_right_form(named: str) -> None:
    with pytest.raises(PluginError, match="is not a plugin") as caught:
        discovery.find(named)
    assert "module:object" in (caught.value.hint or "")


@pytest.mark.parametrize("named", ["./", "/bin/ls", "./handler"])
def test_a_path_that_is_not_a_python_file_is_reported(named: str) -> None:
    with pytest.raises(PluginError) as caught:
        discovery.find(named)
    assert caught.value.hint == "to name a file, use a path that ends in .py"
