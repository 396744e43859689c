"""Return settings as rows of text, for `config show`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from reactorhost.config.service import Service
from reactorhost.config.settings import BY_SERVICE_KEY, HOST_KEYS, HOST_TABLES, TABLE, Settings

_SHOWN = (
    "workers",
    "allow",
    "deny",
    "max_connections_per_address",
    "accept_rate",
    "proxy_from",
    "framing",
    "max_datagram",
    "handshake_timeout",
    "idle_timeout",
    "message_timeout",
    "when_full",
    "unix_mode",
    "unix_owner",
)


class SettingRow(NamedTuple):
    """A setting, its value as it would be written, and its origin."""

    setting: str
    value: str
    origin: str


def rows(settings: Settings) -> Iterator[SettingRow]:
    """Yield every setting, then every service."""
    for setting in TABLE:
        if setting.table in HOST_TABLES:
            shown = setting.name if setting.name in HOST_KEYS else f"{setting.table}.{setting.key}"
            found = getattr(settings, setting.name)
            if setting.name == "workers" and settings.workers_range is not None:
                found = settings.workers_range
            value = setting.kind.show(found)
            yield SettingRow(shown, value, str(settings.origins[setting.name]))
    yield _row(settings, "config_file", str(settings.config_file or "-"))
    for service in settings.services:
        for key, shown in _shown(service).items():
            yield _row(settings, f"service.{service.name}.{key}", shown)


def _row(settings: Settings, key: str, value: str) -> SettingRow:
    return SettingRow(key, value, str(settings.origins[key]))


def _shown(service: Service) -> dict[str, str]:
    """Return a service's settings, those of TLS only if it has TLS."""
    values: dict[str, Any] = {"listen": service.listen, "plugins": service.plugins}
    if service.tls is not None:
        values |= {"certificate": service.tls.certificates, "key": service.tls.keys}
        values |= {key: getattr(service.tls, key) for key in ("client_ca", "client_certificates", "alpn")}
        values["starttls"] = service.starttls
    values |= {key: getattr(service, key) for key in _SHOWN}
    return {
        key: ", ".join(map(str, value)) or "-" if BY_SERVICE_KEY[key].many else BY_SERVICE_KEY[key].kind.show(value)
        for key, value in values.items()
    }
