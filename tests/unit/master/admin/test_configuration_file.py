"""A configuration file that was written again has changed if its content has."""

from __future__ import annotations

from pathlib import Path

from reactorhost.master.admin.configuration_file import ConfigurationFile


def test_a_file_has_changed_until_its_content_is_in_use(tmp_path: Path) -> None:
    path = tmp_path / "host.toml"
    path.write_text("[host]\nworkers = 2\n")
    file = ConfigurationFile(path)
    path.write_text("[host]\nworkers = 2\n")
    assert not file.has_changed()
    path.write_text("[host]\nworkers = 3\n")
    assert file.has_changed()
    file.in_use = file.content()
    assert not file.has_changed()
    path.unlink()
    assert not file.has_changed()


def test_without_a_file_nothing_changes() -> None:
    assert not ConfigurationFile(None).has_changed()
