"""Return settings as rows of text, for `config show`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from reactorhost.config.service import Service
from reactorhost.config.settings import BY_NAME, HOST_KEYS, TABLE, Settings


class SettingRow(NamedTuple):
    """A setting, its value as it would be written, and its origin."""

    setting: str
    value: str
    origin: str


def rows(settings: Settings) -> Iterator[SettingRow]:
    """Yield every setting, then every service."""
    for setting in TABLE:
        if setting.name in HOST_KEYS:
            yield _row(settings, setting.name, setting.kind.show(getattr(settings, setting.name)))
    yield _row(settings, "config_file", str(settings.config_file or "-"))
    for service in settings.services:
        for key, shown in _shown(service).items():
            yield _row(settings, f"service.{service.name}.{key}", shown)


def _row(settings: Settings, key: str, value: str) -> SettingRow:
    return SettingRow(key, value, str(settings.origins[key]))


def _shown(service: Service) -> dict[str, str]:
    """Return a service's settings, those of TLS only if it has TLS."""
    shown: dict[str, str] = {"listen": ", ".join(map(str, service.listen)), "plugins": ", ".join(service.plugins)}
    if service.tls is not None:
        tls = service.tls
        shown["certificate"] = ", ".join(map(str, tls.certificates))
        shown["key"] = ", ".join(map(str, tls.keys))
        shown["client_ca"] = str(tls.client_ca or "-")
        shown["client_certificates"] = tls.client_certificates
        shown["alpn"] = ", ".join(tls.alpn) or "-"
    shown["proxy_from"] = ", ".join(service.proxy_from) or "-"
    for key in ("framing", "handshake_timeout", "idle_timeout", "unix_mode", "unix_owner"):
        shown[key] = BY_NAME[key].kind.show(getattr(service, key))
    return shown
