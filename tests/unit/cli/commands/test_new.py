"""`reactorhost new`: what it prints, and which names are taken."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path

import pytest

from reactorhost.cli.app import _run
from reactorhost.plugins import discovery
from reactorhost.plugins.identity import PluginIdentity

Run = Callable[..., str]


@pytest.fixture(autouse=True)
def environment_with_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    """Find pip, which an environment of uv does not have."""
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: find_spec("pytest" if name == "pip" else name))


@pytest.fixture
def refusal(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs the command, which must fail and leave nothing, and returns what it prints."""
    monkeypatch.chdir(tmp_path)

    def refused(*words: str) -> str:
        assert _run(["new", *words]) == 2
        assert list(tmp_path.iterdir()) == []
        return capsys.readouterr().err

    return refused


def next_commands(printed: str) -> Sequence[str]:
    """Return the commands that are printed, without indentation."""
    _, _, rest = printed.partition("next:\n")
    return [line.strip() for line in rest.splitlines() if line.startswith("  ")]


@pytest.fixture
def activated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda program: f"{sys.prefix}/bin/{program}")
    monkeypatch.setattr(sys, "base_prefix", "/usr")


@pytest.mark.usefixtures("activated")
def test_the_files_are_made_in_the_working_directory_and_the_next_commands_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert _run(["new", "My_Game", "--framing", "lines"]) == 0
    printed = capsys.readouterr().out
    made = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    listed = {f"reactorhost-my-game/{line.strip()}" for line in printed.partition("next:")[0].splitlines()[1:]}
    assert made == listed
    assert "reactorhost-my-game/reactorhost_my_game/__init__.py" in made
    assert next_commands(printed) == [
        "cd reactorhost-my-game",
        "pip install -e '.[test]'",
        "pytest",
        "reactorhost start my-game",
        r"printf 'ping\n' | nc -N 127.0.0.1 9000",
    ]


@pytest.mark.usefixtures("activated")
def test_json_has_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "of mine"
    folder.mkdir()
    assert _run(["new", "ticker", "--websocket", "--async", "--dir", str(folder), "--json"]) == 0
    package = folder / "reactorhost-ticker"
    assert json.loads(capsys.readouterr().out) == {
        "schema": 1,
        "name": "ticker",
        "distribution": "reactorhost-ticker",
        "module": "reactorhost_ticker",
        "folder": str(package),
        "files": sorted(str(each.relative_to(package)) for each in package.rglob("*") if each.is_file()),
        "commands": [
            f"cd '{package}'",
            "pip install -e '.[test]'",
            "pytest",
            "reactorhost start websocket ticker",
            "websockets ws://127.0.0.1:9000/",
        ],
    }


@pytest.mark.usefixtures("activated")
def test_in_an_environment_without_pip_uv_installs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert _run(["new", "ticker", "--dir", str(tmp_path)]) == 0
    assert next_commands(capsys.readouterr().out)[1] == "uv pip install -e '.[test]'"


@pytest.mark.parametrize("found", [None, "/usr/bin/reactorhost"])
def test_programs_of_an_environment_that_is_not_activated_have_their_paths(
    found: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda program: found)
    monkeypatch.setattr(sys, "prefix", "/srv/my env")
    assert _run(["new", "ticker", "--dir", str(tmp_path), "--websocket"]) == 0
    assert next_commands(capsys.readouterr().out)[1:] == [
        "'/srv/my env/bin'/pip install -e '.[test]'",
        "'/srv/my env/bin'/pytest",
        "'/srv/my env/bin'/reactorhost start websocket ticker",
        "'/srv/my env/bin'/websockets ws://127.0.0.1:9000/",
    ]


def test_without_an_environment_the_programs_have_no_paths(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda program: None)
    monkeypatch.setattr(sys, "base_prefix", sys.prefix)
    assert _run(["new", "ticker", "--dir", str(tmp_path)]) == 0
    assert next_commands(capsys.readouterr().out)[2:4] == ["pytest", "reactorhost start ticker"]


def test_with_q_nothing_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(["new", "ticker", "--dir", str(tmp_path), "-q"]) == 0
    assert capsys.readouterr().out == ""
    assert (tmp_path / "reactorhost-ticker").is_dir()


@pytest.mark.parametrize("name", ["my-game", "my_game"])
def test_the_name_of_an_installed_plugin_is_taken(name: str, refusal: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    there = PluginIdentity("my_game", "games", "1.0", "games.mine")
    monkeypatch.setattr(discovery, "installed", lambda: [there])
    assert "plugin my_game (games 1.0) is installed already" in refusal(name)


def test_the_name_of_a_module_is_taken(
    refusal: Run, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    modules = tmp_path_factory.mktemp("modules")
    (modules / "reactorhost_ticker.py").write_text("raise AssertionError('imported')")
    monkeypatch.syspath_prepend(modules)
    assert "there is a module reactorhost_ticker already" in refusal("ticker")


def test_the_names_of_the_projects_own_plugins_are_taken(refusal: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    required = ["click>=8.1", 'reactorhost-ticker; extra == "all"', 'reactorhost-tick>=1; extra == "all"']
    monkeypatch.setattr(metadata, "requires", lambda distribution: required)
    assert "reactorhost-ticker is one of the plugins of reactorhost itself" in refusal("ticker")
    assert "reactorhost-tick is one of the plugins of reactorhost itself" in refusal("tick")


def test_without_metadata_no_name_is_reserved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(distribution: str) -> list[str]:
        raise metadata.PackageNotFoundError(distribution)

    monkeypatch.setattr(metadata, "requires", missing)
    assert _run(["new", "ticker", "--dir", str(tmp_path)]) == 0


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("json", "which is a module of the standard library"),
        ("top", "which is a command of reactorhost"),
        ("a/b", "cannot be the name of a plugin"),
        ("ticker --protocol --async", "are not async"),
        ("ticker --framing words", "'words' is not one of"),
        ("ticker --dir nowhere", "there is no folder nowhere"),
        ("", "missing argument"),
    ],
)
def test_what_cannot_be_made_is_refused_with_a_sentence_and_a_hint(words: str, text: str, refusal: Run) -> None:
    printed = refusal(*words.split())
    assert text in printed.partition("\n")[0]
    assert "  hint: " in printed


def test_what_stands_in_the_place_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reactorhost-ticker").mkdir()
    (tmp_path / "reactorhost-ticker" / "mine").touch()
    assert _run(["new", "ticker"]) == 2
    assert "reactorhost-ticker exists already" in capsys.readouterr().err
    assert [path.name for path in tmp_path.rglob("*")] == ["reactorhost-ticker", "mine"]


def test_a_working_directory_that_was_deleted_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert _run(["new", "ticker"]) == 1
    assert "the working directory was deleted" in capsys.readouterr().err
    assert _run(["new", "ticker", "--dir", str(tmp_path)]) == 0


@pytest.mark.usefixtures("activated")
@pytest.mark.parametrize(
    ("variant", "where"), [([], "another terminal:"), (["--websocket"], "another terminal with the same environment:")]
)
def test_the_client_of_the_environment_needs_the_environment(
    variant: Sequence[str], where: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(["new", "ticker", "--dir", str(tmp_path), *variant]) == 0
    assert f"then, in {where}\n" in capsys.readouterr().out
