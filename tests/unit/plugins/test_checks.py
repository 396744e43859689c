"""The plugins of a host are checked before it starts, without importing them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from reactorhost.config.resolve import resolve
from reactorhost.config.settings import Settings
from reactorhost.errors import PluginError
from reactorhost.master import checks
from reactorhost.plugins import discovery
from reactorhost.plugins.identity import PluginIdentity


def _settings(tmp_path: Path, *plugins: str) -> Settings:
    return resolve({"plugins": plugins, "run_dir": str(tmp_path / "run")}, {}, tmp_path)


def test_a_plugin_for_another_host_is_refused_before_any_worker_is_forked(
    install: Callable[..., Path], tmp_path: Path
) -> None:
    install("made", "[reactorhost]\nmade = made_echo\n", requires=("reactorhost>=99",), modules={"made_echo.py": "1/0"})
    with pytest.raises(PluginError, match=r"plugin made \(made 1.0\) requires reactorhost >=99"):
        checks.check_plugins(_settings(tmp_path, "made"))
    assert "made_echo" not in sys.modules


def test_a_plugin_of_several_services_is_checked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_for = []

    def find(named: str) -> PluginIdentity:
        looked_for.append(named)
        return PluginIdentity(named, None, None, named)

    monkeypatch.setattr(discovery, "find", find)
    config = tmp_path / "host.toml"
    config.write_text(
        '[service.one]\nplugins = ["echo"]\nlisten = ["tcp://127.0.0.1:1"]\n'
        '[service.two]\nplugins = ["log", "echo"]\nlisten = ["tcp://127.0.0.1:2"]\n'
    )
    checks.check_plugins(resolve({"config": str(config), "run_dir": str(tmp_path / "run")}, {}, tmp_path))
    assert looked_for == ["echo", "log"]
