"""Fixtures that make plugins: as files, as modules, and as installed distributions."""

from __future__ import annotations

import sys
import textwrap
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reactorhost.plugins.identity import LoadedPlugin, PluginIdentity


@pytest.fixture(autouse=True)
def _modules_removed() -> Iterator[None]:
    """Remove the modules that a test imported from sys.modules, and the folders that it added to sys.path."""
    before, folders = dict(sys.modules), list(sys.path)
    yield
    sys.path[:] = folders
    for name in sys.modules.keys() - before.keys():
        if name.startswith(("reactorhost_", "made", "__editable__")):
            del sys.modules[name]


@pytest.fixture
def plugin_file(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a plugin file."""

    def write(source: str, name: str = "made") -> Path:
        path = tmp_path / f"{name}.py"
        path.write_text(textwrap.dedent(source))
        return path

    return write


@pytest.fixture
def loaded() -> Callable[..., LoadedPlugin]:
    """Return a function that makes a plugin of any object, or of hook functions by name."""

    def make(name: str, plugin: object = None, /, home: str | None = None, **hooks: object) -> LoadedPlugin:
        if plugin is None:
            plugin = types.ModuleType(name)
            vars(plugin).update(hooks)
        return LoadedPlugin(PluginIdentity(name, None, None, name), plugin, tuple(hooks), None, home=home)

    return make


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Return a function that puts a distribution into a folder of sys.path."""

    def put(
        distribution: str,
        entry_points: str | None,
        *,
        version: str = "1.0",
        requires: tuple[str, ...] = (),
        modules: dict[str, str] | None = None,
        folder: str = "site",
    ) -> Path:
        site = tmp_path / folder
        facts = site / f"{distribution.replace('-', '_')}-{version}.dist-info"
        facts.mkdir(parents=True)
        lines = ["Metadata-Version: 2.1", f"Name: {distribution}", f"Version: {version}"]
        (facts / "METADATA").write_text("\n".join([*lines, *(f"Requires-Dist: {line}" for line in requires), ""]))
        if entry_points is not None:
            (facts / "entry_points.txt").write_text(entry_points)
        for file, source in (modules or {}).items():
            path = site / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(source))
        if str(site) not in sys.path:
            monkeypatch.syspath_prepend(str(site))
        return site

    return put
