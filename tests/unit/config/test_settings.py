"""The table of settings is complete and consistent, and every default is valid."""

from __future__ import annotations

import dataclasses

import pytest

from reactorhost.config.service import Service, Tls
from reactorhost.config.settings import BY_NAME, HOST_TABLES, SERVICE_KEYS, TABLE, Layer, Origin, Setting, Settings
from reactorhost.config.values import InvalidValueError

_FIELDS = {"certificate": "certificates", "key": "keys"}
HOST = [setting for setting in TABLE if setting.table in HOST_TABLES]


def test_names_flags_and_variables_are_unique() -> None:
    for values in (
        [setting.name for setting in TABLE],
        [flag for setting in TABLE for flag in (*setting.flags, setting.off_flag) if flag],
        [setting.variable for setting in TABLE],
    ):
        assert len(set(values)) == len(values)


@pytest.mark.parametrize("setting", HOST, ids=lambda setting: setting.name)
def test_a_host_setting_has_the_same_name_everywhere(setting: Setting) -> None:
    assert setting.flag == "--" + setting.name.replace("_", "-")
    assert setting.variable == "REACTORHOST_" + setting.name.upper()


def test_the_table_contains_exactly_the_settings() -> None:
    fields = {each.name for each in dataclasses.fields(Settings)}
    assert fields - {"services", "plugin_tables", "config_file", "origins", "workers_range"} == {
        setting.name for setting in HOST
    }
    fields_of_services = {each.name for each in dataclasses.fields(Service)} | {
        each.name for each in dataclasses.fields(Tls)
    }
    assert {_FIELDS.get(name, name) for name in SERVICE_KEYS} == fields_of_services - {"name", "tls"}
    keys = {BY_NAME[name].key for name in BY_NAME.keys() - {setting.name for setting in HOST} - {"config", "set"}}
    assert keys == SERVICE_KEYS - {"idle_timeout", "message_timeout", "when_full"}


@pytest.mark.parametrize("setting", HOST, ids=lambda setting: setting.name)
def test_a_default_is_a_valid_value(setting: Setting) -> None:
    if setting.default is not None:
        assert setting.kind.read(setting.default) == setting.default
        assert setting.kind.read(setting.kind.from_text(setting.shown_default)) == setting.default


@pytest.mark.parametrize("setting", TABLE, ids=lambda setting: setting.name)
def test_help_is_a_sentence_on_one_line(setting: Setting) -> None:
    assert setting.help.endswith(".")
    assert "\n" not in setting.help
    assert setting.shown_default
    if setting.kind.metavar in {"DURATION", "SIZE"}:
        assert "seconds" in setting.help or "bytes" in setting.help


@pytest.mark.parametrize(
    ("origin", "text"),
    [
        (Origin(Layer.FLAG, "--workers"), "flag --workers"),
        (Origin(Layer.ENVIRONMENT, "REACTORHOST_WORKERS"), "environment REACTORHOST_WORKERS"),
        (Origin(Layer.FILE, "/a.toml:3"), "/a.toml:3"),
        (Origin(Layer.DEFAULT), "default"),
        (Origin(Layer.DEFAULT, note="auto"), "default (auto)"),
    ],
)
def test_origins_as_text(origin: Origin, text: str) -> None:
    assert str(origin) == text


LIMITS = {
    "workers": (1, 256, 0, 257),
    "backlog": (1, 2**31 - 1, 0, 2**31),
    "max_connections": (1, 10_000_000, 0, 10_000_001),
    "max_send_buffer": ("1KiB", "64GiB", 1023, (64 << 30) + 1),
    "stop_timeout": (0, "24h", -0.1, 86400.1),
    "boot_timeout": (0.1, "1h", 0.09, 3600.1),
    "drain_timeout": (0, "720h", -0.1, 2592000.1),
    "retire_delay": (0, "1h", -0.1, 3600.1),
    "idle_timeout": (0, "720h", -0.1, 2592000.1),
    "close_timeout": (0.01, "1h", 0.009, 3600.1),
    "threads": (1, 1024, 0, 1025),
    "thread_queue": (1, 10_000_000, 0, 10_000_001),
    "slow_hook": (0, "1h", -0.1, 3600.1),
    "bus_max_message": (1, "64MiB", 0, (64 << 20) + 1),
    "bus_max_queue": ("64KiB", "64GiB", 65535, (64 << 30) + 1),
    "bus_down_period": (0.5, "1h", 0.4, 3600.1),
}


@pytest.mark.parametrize("name", LIMITS)
def test_numbers_outside_their_limits_are_refused(name: str) -> None:
    kind = BY_NAME[name].kind
    least, most, too_little, too_much = LIMITS[name]
    kind.read(least)
    kind.read(most)
    for value in (too_little, too_much):
        with pytest.raises(InvalidValueError):
            kind.read(value)


def test_settings_are_immutable() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Origin(Layer.DEFAULT).note = "x"  # type: ignore[misc]  # that is the test
