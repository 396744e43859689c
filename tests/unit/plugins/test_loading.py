"""Loading imports what was named, reports failures with plugin and line, and never runs stale code."""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reactorhost.api.option import Option
from reactorhost.errors import PluginError
from reactorhost.plugins import name_hints
from reactorhost.plugins.loading import load

ECHO = """
from reactorhost.api.hookspecs import hookimpl

@hookimpl
def receive(connection, data):
    connection.send(data)
"""


def _refusal(named: str | Path) -> PluginError:
    with pytest.raises(PluginError) as caught:
        load(str(named), "0.1.0")
    return caught.value


def test_an_installed_module_is_loaded(install: Callable[..., Path]) -> None:
    site = install("made-echo", "[reactorhost]\nmade-echo = made_echo\n", modules={"made_echo.py": ECHO})
    plugin = load("made-echo", "0.1.0")
    assert str(plugin.identity) == "made-echo (made-echo 1.0)"
    assert plugin.name == "made-echo"
    assert plugin.object is sys.modules["made_echo"]
    assert plugin.hooks == ("receive",)
    assert plugin.file == plugin.home == str(site / "made_echo.py")


def test_the_home_of_a_module_in_a_package_is_the_package(install: Callable[..., Path]) -> None:
    modules = {"made_package/__init__.py": "", "made_package/inner.py": ECHO}
    site = install("made", "[reactorhost]\nmade = made_package.inner\n", modules=modules)
    plugin = load("made", "0.1.0")
    assert plugin.file == str(site / "made_package" / "inner.py")
    assert plugin.home == str(site / "made_package")


@pytest.mark.parametrize("target", ["made_objects:Echo", "made_objects:echo", "made_objects:Holder.echo"])
def test_a_plugin_can_be_an_instance_or_a_class(install: Callable[..., Path], target: str) -> None:
    source = """
        from reactorhost import Option, hookimpl
        class Echo:
            @hookimpl
            def receive(self, connection, data): ...
            @hookimpl
            def connect(self): ...
            @hookimpl
            def options(self):
                return [Option("limit", int, 5)]
        echo = Echo()
        class Holder:
            echo = Echo()
    """
    install("made", None, modules={"made_objects.py": source})
    plugin = load(target, "0.1.0")
    assert type(plugin.object).__name__ == "Echo"
    assert plugin.hooks == ("connect", "receive", "options")
    assert plugin.options == (Option("limit", int, 5),)
    assert plugin.name == target


def test_a_missing_object_is_reported_with_a_similar_name(install: Callable[..., Path]) -> None:
    install("made", None, modules={"made_objects.py": "echo = 1"})
    error = _refusal("made_objects:ecko")
    assert "there is no 'ecko' in made_objects" in error.what
    assert error.hint == "did you mean 'echo'?"


def test_a_class_that_cannot_be_instantiated_is_reported(install: Callable[..., Path]) -> None:
    source = "class Echo:\n    def __init__(self, port): ...\n"
    install("made", None, modules={"made_objects.py": source})
    assert "failed to create a Echo: TypeError" in _refusal("made_objects:Echo").what


def test_an_import_that_fails_names_plugin_distribution_version_and_line(install: Callable[..., Path]) -> None:
    modules = {
        "made_broken/__init__.py": "from made_broken import deep\n",
        "made_broken/deep.py": "import made_dependency\nmade_dependency.fail()\n",
        "made_dependency.py": "def fail():\n    raise ValueError('out of order\\nsecond line')\n",
    }
    site = install("made-broken", "[reactorhost]\nbroken = made_broken\n", version="3.1", modules=modules)
    error = _refusal("broken")
    assert error.what == "plugin broken (made-broken 3.1) failed to import: ValueError: out of order"
    assert error.where == f"{site}/made_broken/deep.py:2"
    assert error.exit_status == 4
    details = error.details or ""
    assert "made_dependency.fail()" in details
    assert "second line" in details
    assert "importlib" not in details
    assert "loading.py" not in details


def test_a_syntax_error_is_reported_with_its_own_line(plugin_file: Callable[..., Path]) -> None:
    path = plugin_file("import os\n\ndef receive(:\n")
    error = _refusal(path)
    assert error.what == "plugin made failed to import: SyntaxError: invalid syntax"
    assert error.where == f"{path}:3"
    assert "def receive(:" in (error.details or "")


@pytest.mark.parametrize("source", [b"\xff\xfe\x00", b"x = '\x00'\n", b"# coding: nonsense\n", b"\x80 = 1\n"])
def test_a_file_that_is_not_python_is_reported(tmp_path: Path, source: bytes) -> None:
    path = tmp_path / "made.py"
    path.write_bytes(source)
    assert "plugin made failed to import" in _refusal(path).what


def test_a_missing_module_is_reported_with_a_hint(plugin_file: Callable[..., Path]) -> None:
    path = plugin_file("import made_nowhere.inner\n")
    error = _refusal(path)
    assert error.hint == "install 'made_nowhere', or put its folder on PYTHONPATH"
    assert error.where == f"{path}:1"
    assert "No module named 'made_nowhere'" in _refusal("made_nowhere:plugin").what


@pytest.mark.parametrize("stat_fails", [False, True])
def test_a_module_that_is_missing_for_this_user_only_is_no_reason_to_install_it(
    plugin_file: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stat_fails: bool
) -> None:
    path = plugin_file("import made_nowhere.inner\n")
    closed = str(tmp_path)
    real_stat, real_access = os.stat, os.access

    def stat(path: Any, **options: Any) -> os.stat_result:
        if stat_fails and path in (closed, f"{closed}/python.zip"):
            raise PermissionError
        return real_stat(path, **options)

    monkeypatch.setattr(os, "stat", stat)
    monkeypatch.setattr(os, "access", lambda path, *modes, **ids: path != closed and real_access(path, *modes, **ids))
    monkeypatch.setattr(sys, "path", [*sys.path, "", f"{closed}/gone", f"{closed}/python.zip", closed])
    hint = _refusal(path).hint or ""
    assert hint.partition(" cannot read ")[2].startswith(f"{closed}, which is searched for modules: give this user")


@pytest.mark.parametrize("target", ["made_gone", "made_gone.plugin:Plugin"])
def test_a_missing_module_of_an_entry_point_is_no_reason_to_install_it(
    install: Callable[..., Path], target: str
) -> None:
    install("made-gone", f"[reactorhost]\ngone = {target}\n")
    assert _refusal("gone").hint == ("its entry point names a module that it lacks: reinstall made-gone, or correct it")


def test_a_missing_module_of_an_object_is_looked_for_here(
    plugin_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(plugin_file("").parent)
    assert _refusal("mades:Thing").hint == "put the folder that contains 'mades' on PYTHONPATH"
    monkeypatch.setattr(name_hints, "searches_cwd", lambda: True)
    start = "start in the folder that contains {!r}, or put that folder on PYTHONPATH"
    assert _refusal("mades:Thing").hint == f"did you mean 'made'? else {start.format('mades')}"
    assert _refusal("zzz:Thing").hint == start.format("zzz")


CLASS = "from reactorhost import hookimpl\nclass Thing:\n    @hookimpl\n    def receive(self, data): ...\n"


def test_the_class_of_a_file_that_has_its_hooks_is_the_plugin(plugin_file: Callable[..., Path]) -> None:
    imported = "from reactorhost import Lines as Other\nlimit = 5\n"
    plugin = load(str(plugin_file(CLASS + imported)), "0.1.0")
    assert (plugin.name, plugin.hooks, type(plugin.object).__name__) == ("made", ("receive",), "Thing")


OTHER = CLASS.replace("Thing", "Other")


@pytest.mark.parametrize(
    ("source", "what"),
    [
        (CLASS + OTHER, "plugin made has no hook, but its Thing and Other have"),
        (CLASS + "thing = Thing()\n", "plugin made has no hook, but its Thing has"),
        (CLASS + "def connect(connection): ...\n", "plugin made has no hook: connect is not marked"),
    ],
    ids=["two classes", "an instance", "a function"],
)
def test_a_class_is_not_chosen_where_something_else_may_be_meant(
    plugin_file: Callable[..., Path], source: str, what: str
) -> None:
    assert _refusal(plugin_file(source)).what == what


def test_the_hooks_of_a_file_itself_take_precedence_over_those_of_a_class(plugin_file: Callable[..., Path]) -> None:
    plugin = load(str(plugin_file(CLASS + "@hookimpl\ndef connect(connection): ...\n")), "0.1.0")
    assert plugin.hooks == ("connect",)


def test_a_file_whose_hooks_are_methods_names_the_class(
    plugin_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = plugin_file(CLASS + OTHER)
    error = _refusal(path)
    assert error.hint == f"write made:Thing, with {tmp_path} on PYTHONPATH"
    monkeypatch.chdir(tmp_path)
    assert _refusal(path).hint == f"write made:Thing, with {tmp_path} on PYTHONPATH"
    monkeypatch.setattr(name_hints, "searches_cwd", lambda: True)
    assert _refusal(path).hint == "write made:Thing"
    assert load("made:Thing", "0.1.0").hooks == ("receive",)


@pytest.mark.parametrize(("name", "module"), [("my-plug", "my_plug"), ("2nd", "_2nd"), ("a.b", "a_b")])
def test_a_file_that_is_not_named_as_a_module_has_to_be_renamed(tmp_path: Path, name: str, module: str) -> None:
    path = tmp_path / f"{name}.py"
    path.write_text(CLASS + "thing = Thing()\n")
    renamed = f"rename the file to {module}.py and write {module}:Thing, with {tmp_path} on PYTHONPATH"
    assert _refusal(str(path)).hint == renamed


def test_an_entry_point_whose_hooks_are_methods_names_the_class(install: Callable[..., Path]) -> None:
    install("made", "[reactorhost]\nmade = made_class\n", modules={"made_class.py": CLASS})
    assert _refusal("made").hint == 'the object has the hooks: in the entry point, write "made_class:Thing"'


@pytest.mark.parametrize(
    ("named", "hint"),
    [
        ("made_class:Thing.receive", "name the object that has the function: made_class:Thing"),
        ("made_file:receive", "name the module that has the function: {site}/made_file.py"),
        ("made_echo:receive", "name the module that has the function: made"),
    ],
)
def test_a_function_is_not_a_plugin_but_what_has_it(install: Callable[..., Path], named: str, hint: str) -> None:
    modules = {"made_class.py": CLASS, "made_file.py": ECHO, "made_echo.py": ECHO}
    site = install("made", "[reactorhost]\nmade = made_echo\n", modules=modules)
    error = _refusal(named)
    assert error.what == f"plugin {named} is a function"
    assert error.hint == hint.format(site=site)


@pytest.mark.parametrize("code", ["raise SystemExit(3)", "import sys; sys.exit('no database')"])
def test_sys_exit_during_the_import_is_a_plugin_error(plugin_file: Callable[..., Path], code: str) -> None:
    error = _refusal(plugin_file(f"\n{code}\n"))
    assert "called sys.exit(" in error.what
    assert (error.where or "").endswith("made.py:2")


def test_an_interrupt_during_the_import_propagates(plugin_file: Callable[..., Path]) -> None:
    with pytest.raises(KeyboardInterrupt):
        load(str(plugin_file("raise KeyboardInterrupt")), "0.1.0")


def test_a_file_that_changes_within_a_second_is_compiled_again(plugin_file: Callable[..., Path]) -> None:
    source = "from reactorhost import hookimpl\n@hookimpl\ndef connect(): return {}\n"
    path = plugin_file(source.format(1))
    first = load(str(path), "0.1.0")
    written = path.stat()
    plugin_file(source.format(2))
    os.utime(path, ns=(written.st_atime_ns, written.st_mtime_ns))
    second = load(str(path), "0.1.0")
    assert (first.object.connect(), second.object.connect()) == (1, 2)  # type: ignore[attr-defined]
    assert not (path.parent / "__pycache__").exists()


def test_a_traceback_shows_the_loaded_lines_after_the_file_changed(plugin_file: Callable[..., Path]) -> None:
    path = plugin_file("from reactorhost import hookimpl\n@hookimpl\ndef connect():\n    return 1 / 0\n")
    plugin = load(str(path), "0.1.0")
    plugin_file("# another\n# file\n# by now\n    something else\n")
    with pytest.raises(ZeroDivisionError) as caught:
        plugin.object.connect()  # type: ignore[attr-defined]
    assert "return 1 / 0" in "".join(traceback.format_exception(caught.value))


def test_files_of_one_name_do_not_clash_or_hide_modules(tmp_path: Path) -> None:
    plugins = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        path = tmp_path / folder / "json.py"
        path.write_text(ECHO + f"WHERE = {folder!r}\n")
        plugins.append(load(str(path), "0.1.0"))
    import json

    assert [plugin.object.WHERE for plugin in plugins] == ["a", "b"]  # type: ignore[attr-defined]
    assert plugins[0].name == "json"
    assert not hasattr(json, "WHERE")
    assert all(sys.modules[plugin.object.__name__] is plugin.object for plugin in plugins)  # type: ignore[attr-defined]


def test_a_file_can_define_dataclasses(plugin_file: Callable[..., Path]) -> None:
    source = "from __future__ import annotations\nimport dataclasses\n"
    path = plugin_file(source + ECHO + "@dataclasses.dataclass\nclass State:\n    count: dataclasses.KW_ONLY\n")
    assert load(str(path), "0.1.0").hooks == ("receive",)


def test_a_file_that_fails_leaves_no_module(plugin_file: Callable[..., Path]) -> None:
    before = set(sys.modules)
    _refusal(plugin_file("1 / 0"))
    assert set(sys.modules) == before


@pytest.mark.parametrize(
    ("requirement", "version"),
    [
        ("reactorhost>=0.1", "0.1.0"),
        ("reactorhost>=0.1", "0.2.0rc1"),
        ("reactorhost", "0.1.dev0"),
        ("reactorhost[extra]<1,>0", "0.1.0"),
        ("Reactor.Host>5", "0.1.0"),
        ("reactorhost-echo>=7", "0.1.0"),
        ("reactorhost>=9; python_version<'3'", "0.1.0"),
        ("reactorhost>=9; extra=='new'", "0.1.0"),
        ("reactorhost >=< broken", "0.1.0"),
    ],
)
def test_a_plugin_that_requires_this_version_of_the_host_is_loaded(
    install: Callable[..., Path], requirement: str, version: str
) -> None:
    entry = "[reactorhost]\nmade = made_echo\n"
    install("made", entry, requires=("click", requirement), modules={"made_echo.py": ECHO})
    assert load("made", version).hooks == ("receive",)


@pytest.mark.parametrize(
    ("requirement", "version"),
    [("reactorhost>=2", "0.1.0"), ("ReactorHost>=2; python_version>'3'", "2.0.dev1"), ("reactorhost (==0.2)", "0.1.0")],
)
def test_a_plugin_for_another_host_is_refused_before_it_is_imported(
    install: Callable[..., Path], requirement: str, version: str
) -> None:
    install("made", "[reactorhost]\nmade = made_echo\n", requires=(requirement,), modules={"made_echo.py": "1 / 0"})
    with pytest.raises(PluginError) as caught:
        load("made", version)
    assert caught.value.what.startswith("plugin made (made 1.0) requires reactorhost ")
    assert caught.value.what.endswith(f"but this is {version}")
    assert (caught.value.hint or "").startswith("install reactorhost ")
    assert (caught.value.hint or "").endswith(", or another version of made")


def test_a_plugin_for_the_installed_host_is_refused_with_a_hint_to_restart(install: Callable[..., Path]) -> None:
    install("made", "[reactorhost]\nmade = made_echo\n", requires=("reactorhost>=2",), modules={"made_echo.py": ""})
    install("reactorhost", None, version="2.1")
    assert _refusal("made").hint == (
        "reactorhost 2.1 is installed but the host still runs 0.1.0: `reactorhost restart`"
    )


def test_an_invalid_entry_point_is_reported(install: Callable[..., Path]) -> None:
    install("made", "[reactorhost]\nmade = not a target\n")
    assert "has an invalid entry point" in _refusal("made").what


def test_the_finders_are_invalidated_without_a_late_import() -> None:
    # A worker may run as a user that cannot read the interpreter's files any more.
    program = (
        "import importlib, sys, reactorhost.plugins.loading; before = set(sys.modules); "
        "importlib.invalidate_caches(); print(*set(sys.modules) - before)"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []
