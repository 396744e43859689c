"""Decide which services a host runs: those of the file, or one that flags or environment define."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from reactorhost import address
from reactorhost.address import Address
from reactorhost.config import file_tables
from reactorhost.config.layers import Layers, SettingList, SettingValue, read_list, read_value
from reactorhost.config.problems import Problems
from reactorhost.config.service import Service, Tls
from reactorhost.config.settings import (
    BY_NAME,
    DEFAULT_ADDRESS,
    DEFAULT_SERVICE,
    OVERRIDES,
    SERVICE_KEYS,
    SERVICE_SETTINGS,
    Layer,
    Origin,
    Setting,
)
from reactorhost.config.toml_file import TomlFile
from reactorhost.config.values import NAME

_DEFAULT_ORIGIN = Origin(Layer.DEFAULT)


@dataclass(frozen=True, slots=True)
class Draft:
    """A service before it is checked: its settings by name, and its origin."""

    name: str
    origin: Origin
    settings: Mapping[str, SettingValue | SettingList]

    @property
    def listen(self) -> tuple[Address, ...]:
        """Return the addresses it listens on."""
        return tuple(value for value in self.values("listen") if isinstance(value, Address))

    @property
    def plugins(self) -> tuple[str, ...]:
        """Return the plugins as they were named."""
        return tuple(str(value) for value in self.values("plugins"))

    def values(self, key: str) -> tuple[Any, ...]:
        """Return the values of a setting that can be repeated."""
        found = self.settings.get(key)
        return found.values if isinstance(found, SettingList) else ()

    def value(self, key: str) -> Any:
        """Return the value of a setting, or its default."""
        found = self.settings.get(key)
        return found.value if isinstance(found, SettingValue) else BY_NAME[key].default

    def origin_of(self, key: str) -> Origin:
        """Return the origin of a setting, or that of the service if the setting is not given."""
        found = self.settings.get(key)
        return found.origin if found else self.origin


def from_file(file: TomlFile, problems: Problems) -> list[Draft]:
    """Read every `[service.NAME]` of a file."""
    drafts = []
    for name, table in file_tables.named_tables(file, "service", problems).items():
        origin = file.origin("service", name)
        read_value(f"the service's name {name!r}", NAME, name, origin, file.path.parent, problems)
        file_tables.report_unknown(file, ("service", name), table, SERVICE_KEYS, problems)
        read = {
            key: _read(file, name, BY_NAME[key], raw, problems) for key, raw in table.items() if key in SERVICE_KEYS
        }
        drafts.append(Draft(name, origin, {key: given for key, given in read.items() if given is not None}))
    return drafts


def _read(
    file: TomlFile, name: str, setting: Setting, raw: object, problems: Problems
) -> SettingValue | SettingList | None:
    read = read_list if setting.many else read_value
    origin = file.origin("service", name, setting.name)
    return read(f"service {name!r}: {setting.name}", setting.kind, raw, origin, file.path.parent, problems)


def from_flags(layers: Layers) -> dict[str, SettingValue | SettingList]:
    """Return the settings of a service that flags or environment have."""
    found: dict[str, SettingValue | SettingList] = {}
    for setting in SERVICE_SETTINGS:
        if layers.flag_or_variable(setting) is not None:
            given = layers.values(setting) if setting.many else layers.value(setting)
            found |= {setting.name: given} if given is not None else {}
    return found


def merge(drafts: list[Draft], given: Mapping[str, SettingValue | SettingList], problems: Problems) -> list[Draft]:
    """Return the services of the file with the settings of flags or environment, `given`, applied.

    Plugins and addresses together replace all services of the file. Anything else changes the only service of the
    file, and is a problem if there are several.
    """
    if given.keys() >= {"plugins", "listen"}:
        return [Draft(DEFAULT_SERVICE, given["plugins"].origin, given)]
    if not given:
        return drafts
    first = next(iter(given))
    origin = given[first].origin
    if len(drafts) > 1:
        names = ", ".join(draft.name for draft in drafts)
        what = f"{origin.where} does not say which service it is for; the file has {len(drafts)}: {names}"
        problems.add(what, origin, _how_to_set(first))
        return drafts
    draft = drafts[0] if drafts else _default_draft(origin)
    return [replace(draft, settings={**draft.settings, **given})]


def _how_to_set(key: str) -> str:
    if key in {"plugins", "listen"}:
        other = BY_NAME["listen" if key == "plugins" else "plugins"].flag
        return f"add {other} to serve this instead of the services of the file"
    return f"write {key} under [service.NAME] in the file"


def _default_draft(origin: Origin) -> Draft:
    address_given = SettingList((address.parse(DEFAULT_ADDRESS),), _DEFAULT_ORIGIN)
    return Draft(DEFAULT_SERVICE, origin, {"listen": address_given, "plugins": SettingList((), _DEFAULT_ORIGIN)})


def complete(drafts: list[Draft], idle_timeout: float | None, problems: Problems) -> tuple[Service, ...]:
    """Return the services; report missing, repeated and contradictory settings, and addresses used twice.

    `idle_timeout` is that of the host, for services that do not set it.
    """
    for draft in drafts:
        _check_complete(draft, problems)
        _check_plugins(draft, problems)
        _check_transport(draft, problems)
        _check_kinds(draft, problems)
    _check_addresses(drafts, problems)
    return tuple(
        Service(
            draft.name,
            draft.listen,
            draft.plugins,
            idle_timeout=draft.value("idle_timeout") if "idle_timeout" in draft.settings else idle_timeout,
            handshake_timeout=draft.value("handshake_timeout"),
            framing=draft.value("framing"),
            tls=_tls(draft),
            proxy_from=draft.values("proxy_from"),
            max_datagram=draft.value("max_datagram"),
            unix_mode=draft.value("unix_mode"),
            unix_owner=draft.value("unix_owner"),
        )
        for draft in drafts
    )


def origins(drafts: Iterable[Draft]) -> dict[str, Origin]:
    """Return the origin of each setting of each service."""
    return {
        f"service.{draft.name}.{setting.name}": draft.settings[setting.name].origin
        if setting.name in draft.settings
        else _DEFAULT_ORIGIN
        for draft in drafts
        for setting in (*SERVICE_SETTINGS, *OVERRIDES)
    }


def _tls(draft: Draft) -> Tls | None:
    if not draft.values("certificate"):
        return None
    client_ca = draft.value("client_ca")
    wanted = draft.value("client_certificates")
    if client_ca is not None and "client_certificates" not in draft.settings:
        wanted = "required"
    return Tls(draft.values("certificate"), draft.values("key"), client_ca, wanted, draft.values("alpn"))


def _check_transport(draft: Draft, problems: Problems) -> None:
    """Report contradictions between addresses, TLS, PROXY protocol and framing."""
    name, certificates, keys = f"service {draft.name!r}", draft.values("certificate"), draft.values("key")
    schemes = {each.scheme for each in draft.listen}
    if "tls" in schemes and not certificates:
        hint = "set certificate and key, each a PEM file"
        problems.add(f"{name} has a tls:// address but no certificate", draft.origin_of("listen"), hint)
    if len(certificates) != len(keys):
        what = f"{name} has {len(certificates)} certificates and {len(keys)} keys"
        problems.add(
            what,
            draft.origin_of("certificate" if certificates else "key"),
            "set one key for each certificate, in the same order",
        )
    if certificates and not schemes & {"tcp", "tls"}:
        problems.add(f"{name} has a certificate but no TCP address", draft.origin_of("certificate"))
    for key in ("client_ca", "client_certificates", "alpn"):
        if key in draft.settings and not certificates:
            problems.add(f"{name} has {key} but no certificate, so it does not use TLS", draft.origin_of(key))
    if draft.value("client_certificates") != "none" and draft.value("client_ca") is None:
        hint = "set client_ca, the PEM file of the authorities that sign them"
        problems.add(
            f"{name} requests clients' certificates but has no client_ca", draft.origin_of("client_certificates"), hint
        )
    if draft.values("proxy_from") and "udp" in schemes:
        what = f"{name} has proxy_from and a UDP address, but UDP has no PROXY header"
        problems.add(what, draft.origin_of("proxy_from"), "move the UDP address to a service of its own")
    if "unix" not in schemes and set(draft.values("proxy_from")) == {"unix"}:
        what = f"{name} accepts PROXY headers over unix sockets only, but has no unix address"
        problems.add(what, draft.origin_of("proxy_from"), "add the networks of the proxies to proxy_from")
    if "framing" in draft.settings and schemes == {"udp"}:
        problems.add(
            f"{name} has a framing but only UDP addresses, whose datagrams are messages already",
            draft.origin_of("framing"),
        )


def _check_kinds(draft: Draft, problems: Problems) -> None:
    """Report settings for a kind of address that the service does not have."""
    schemes = {each.scheme for each in draft.listen}
    for key, scheme, words in (
        ("unix_mode", "unix", "unix address"),
        ("unix_owner", "unix", "unix address"),
        ("max_datagram", "udp", "UDP address"),
    ):
        if key in draft.settings and scheme not in schemes:
            problems.add(f"service {draft.name!r} has {key} but no {words}", draft.origin_of(key))


def _check_complete(draft: Draft, problems: Problems) -> None:
    if "listen" not in draft.settings:
        problems.add(
            f"service {draft.name!r} has no address", draft.origin, f'add listen = "{DEFAULT_ADDRESS}" to its table'
        )
    if "plugins" not in draft.settings:
        problems.add(f"service {draft.name!r} has no plugins", draft.origin, 'add plugins = ["NAME"] to its table')


def _check_plugins(draft: Draft, problems: Problems) -> None:
    names = draft.plugins
    for name in dict.fromkeys(name for name in names if names.count(name) > 1):
        problems.add(f"service {draft.name!r} names the plugin {name!r} twice", draft.origin_of("plugins"))


def _check_addresses(drafts: list[Draft], problems: Problems) -> None:
    # With SO_REUSEPORT two services can bind one address without an error; the kernel then spreads clients over both.
    taken: dict[tuple[str, int | str], Draft] = {}
    for draft in drafts:
        for each in draft.listen:
            others = [taken[socket] for socket in _sockets(each) if socket in taken]
            if others:
                _report_taken(each, draft, others[0], problems)
            taken |= dict.fromkeys(_sockets(each), draft)


def _report_taken(taken: Address, draft: Draft, other: Draft, problems: Problems) -> None:
    origin = draft.origin_of("listen")
    if other is draft:
        problems.add(f"service {draft.name!r} names the address {taken} twice", origin)
        return
    what = f"service {draft.name!r} listens on {taken}, which service {other.name!r} already uses"
    where = other.origin_of("listen").where
    problems.add(what, origin, f"use a different address{f'; the other one is in {where}' if where else ''}")


def _sockets(listen: Address) -> Iterator[tuple[str, int | str]]:
    """Yield the sockets that an address needs, in a canonical form; none if the kernel chooses the port."""
    # TLS uses TCP ports; UDP has a port space of its own.
    protocol = "udp " if listen.scheme == "udp" else ""
    if listen.scheme == "unix":
        yield "unix", listen.path
    elif listen.port == 0:
        return
    elif not listen.host:
        yield f"{protocol}0.0.0.0", listen.port
        yield f"{protocol}::", listen.port
    else:
        yield f"{protocol}{_canonical(listen.host)}", listen.port


def _canonical(host: str) -> str:
    if ":" not in host:
        return host.lower()
    import ipaddress

    try:
        return str(ipaddress.IPv6Address(host))
    except ValueError:
        return host.lower()


def plugin_names(drafts: Iterable[Draft]) -> set[str]:
    """Return every plugin that a service names."""
    return {name for draft in drafts for name in draft.plugins}
