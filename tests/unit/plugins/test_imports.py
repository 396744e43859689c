"""A forked worker imports the code that is on disk, and knows which code of its master is not that any more."""

from __future__ import annotations

import importlib
import os
import py_compile
import site
import sys
import time
from collections.abc import Callable, Iterator
from importlib.machinery import SourceFileLoader
from importlib.util import cache_from_source
from pathlib import Path

import pytest

from reactorhost.plugins.imports import ImportedCode

AN_HOUR = 3600


@pytest.fixture(autouse=True)
def _import_system(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Restore what `follow` changes."""
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    yield
    importlib.invalidate_caches()


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Return a function that writes a module always with the same time of modification."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(source: str) -> Path:
        path = tmp_path / "made_helper.py"
        path.write_text(source)
        os.utime(path, (1_700_000_000, 1_700_000_000))
        return path

    return write


def value() -> object:
    sys.modules.pop("made_helper", None)
    return importlib.import_module("made_helper").VALUE


@pytest.mark.parametrize("mode", list(py_compile.PycInvalidationMode))
def test_a_module_that_changed_within_a_second_is_compiled_again(
    module: Callable[[str], Path], mode: py_compile.PycInvalidationMode
) -> None:
    path = module("VALUE = 1\n")
    py_compile.compile(str(path), invalidation_mode=mode)
    module("VALUE = 2\n")
    ImportedCode().follow()
    assert value() == 2
    assert value() == 2


def test_the_compiled_code_of_a_recent_module_is_reused_while_its_source_is_the_same(
    module: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    module("VALUE = 1\n")
    ImportedCode().follow()
    assert value() == 1
    with monkeypatch.context() as without_compiler:
        without_compiler.setattr(SourceFileLoader, "source_to_code", None)
        assert value() == 1


def test_compiled_code_from_another_folder_is_not_used(module: Callable[[str], Path], tmp_path: Path) -> None:
    path = module("VALUE = 1\ndef function(): ...\n")
    py_compile.compile(str(path), dfile="/old/made_helper.py", invalidation_mode=py_compile.PycInvalidationMode(2))
    ImportedCode().follow()
    assert value() == 1
    assert sys.modules["made_helper"].function.__code__.co_filename == str(path)


def test_bytecode_is_not_written_if_python_does_not(
    module: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    path = module("VALUE = 1\n")
    ImportedCode().follow()
    assert value() == 1
    assert not Path(cache_from_source(str(path))).exists()


def test_modules_that_are_older_than_the_process_are_imported_as_usual(module: Callable[[str], Path]) -> None:
    module("VALUE = 1\n")
    ImportedCode(time=time.time() + AN_HOUR).follow()
    assert value() == 1
    assert type(sys.modules["made_helper"].__loader__) is SourceFileLoader


def test_an_editable_install_that_moved_is_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packages = tmp_path / "packages"
    monkeypatch.setattr(site, "getsitepackages", lambda: [str(packages), str(tmp_path / "none")])
    monkeypatch.setattr(site, "ENABLE_USER_SITE", False)
    for name in ("packages", "a", "b"):
        (tmp_path / name).mkdir()
    editable = packages / "plugin.pth"
    editable.write_text(f"# a comment\nimport os\n\n{tmp_path / 'a'}\n../nowhere\n")
    imported = ImportedCode()
    sys.path += [str(tmp_path / "a"), "/appended/later"]
    imported.follow()
    assert sys.path[-2:] == [str(tmp_path / "a"), "/appended/later"]
    editable.write_text(f"{tmp_path / 'b'}\n")
    imported.follow()
    assert sys.path[-2:] == ["/appended/later", str(tmp_path / "b")]
    assert str(tmp_path / "a") not in sys.path


def test_modules_whose_file_changed_or_disappeared_are_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    names = ("made_same", "made_edited", "made_removed")
    for name in names:
        (tmp_path / f"{name}.py").write_text("")
        importlib.import_module(name)
    imported = ImportedCode()
    assert imported.changed() == []
    (tmp_path / "made_edited.py").write_text("VALUE = 1\n")
    (tmp_path / "made_removed.py").unlink()
    assert imported.changed() == ["made_edited", "made_removed"]
