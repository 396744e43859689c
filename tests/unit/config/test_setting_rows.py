"""`config show` prints every setting with its value and origin."""

from __future__ import annotations

from pathlib import Path

import pytest

from reactorhost.config.resolve import resolve
from reactorhost.config.setting_rows import rows
from reactorhost.config.settings import BY_NAME, HOST_KEYS, SERVICE_KEYS

TOML = """\
[host]
stop_timeout = "2m"
[service.web]
listen = ["tcp://*:9000", "unix:///run/web.sock"]
plugins = ["accesslog", "echo"]
"""


def shown(tmp_path: Path) -> dict[str, tuple[str, str]]:
    file = tmp_path / "host.toml"
    file.write_text(TOML)
    flags = {"config": str(file), "max_send_buffer": "64KiB"}
    settings = resolve(flags, {"REACTORHOST_NAME": "x"}, tmp_path, uid=0, cpus=lambda: 3)
    return {row.setting: (row.value, row.origin.replace(str(file), "FILE")) for row in rows(settings)}


def test_values_are_shown_in_the_notation_of_the_file(tmp_path: Path) -> None:
    found = shown(tmp_path)
    assert found["stop_timeout"] == ("2m", "FILE:2")
    assert found["max_send_buffer"] == ("64KiB", "flag --max-send-buffer")
    assert found["name"] == ("x", "environment REACTORHOST_NAME")
    assert found["run_dir"] == ("/run/reactorhost/x", "default")
    assert found["workers"] == ("3", "default (auto)")
    assert found["daemon"] == ("false", "default")
    assert found["log_file"] == ("-", "default")
    assert found["config_file"] == (str(tmp_path / "host.toml"), "flag --config")


def test_a_range_of_workers_is_shown_as_a_range(tmp_path: Path) -> None:
    settings = resolve({"plugins": ("echo",), "workers": "2-16"}, {}, tmp_path, uid=0)
    found = {row.setting: row for row in rows(settings)}
    assert (found["workers"].value, found["workers"].origin) == ("2-16", "flag --workers")


def test_every_setting_has_a_row(tmp_path: Path) -> None:
    found = shown(tmp_path)
    assert found.keys() >= HOST_KEYS


def test_every_setting_of_a_service_has_a_row(tmp_path: Path) -> None:
    flags = {"plugins": ("echo",), "certificate": ("a.pem",), "key": ("a.key",)}
    keys = {row.setting.removeprefix("service.default.") for row in rows(resolve(flags, {}, tmp_path, uid=0))}
    assert keys >= SERVICE_KEYS


def test_a_setting_of_the_bus_is_shown_as_it_is_written_in_a_file(tmp_path: Path) -> None:
    assert shown(tmp_path)["bus.max_queue"] == ("16MiB", "default")


@pytest.mark.parametrize(
    ("url", "value"),
    [
        ("redis://10.0.0.1:6379/0", "redis://10.0.0.1:6379/0"),
        ("redis://:geheim@10.0.0.1", "redis://:***@10.0.0.1"),
        ("rediss://chat:ge:h@im@10.0.0.1/1", "rediss://chat:***@10.0.0.1/1"),
        ("redis://10.0.0.1/?a:b@c", "redis://10.0.0.1/?a:b@c"),
    ],
)
def test_a_password_in_the_url_of_the_bus_is_not_shown(url: str, value: str) -> None:
    assert BY_NAME["bus_url"].kind.show(url) == value


def test_services_are_shown(tmp_path: Path) -> None:
    found = shown(tmp_path)
    assert found["service.web.listen"] == ("tcp://*:9000, unix:///run/web.sock", "FILE:4")
    assert found["service.web.plugins"] == ("accesslog, echo", "FILE:5")
    assert found["service.web.workers"] == ("-", "default")
