"""Decide which services a host runs: those of the file, or one that flags or environment define."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from reactorhost import address
from reactorhost.address import Address
from reactorhost.config.layers import Layers, SettingValue, read_setting, read_value
from reactorhost.config.problems import Problems
from reactorhost.config.service import Service, Tls
from reactorhost.config.settings import (
    BY_NAME,
    BY_SERVICE_KEY,
    DEFAULT_ADDRESS,
    DEFAULT_SERVICE,
    OVERRIDES,
    SERVICE_KEYS,
    SERVICE_SETTINGS,
    Layer,
    Origin,
)
from reactorhost.config.toml_file import TomlFile, named_tables, report_unknown
from reactorhost.config.values import NAME

_AS_WRITTEN = (
    "starttls",
    "handshake_timeout",
    "framing",
    "proxy_from",
    "max_datagram",
    "unix_mode",
    "unix_owner",
    "allow",
    "deny",
    "max_connections_per_address",
    "accept_rate",
)
"""The settings that a service has as they are given."""
_DEFAULT_ORIGIN = Origin(Layer.DEFAULT)


@dataclass(frozen=True, slots=True)
class Draft:
    """A service before it is checked: its settings by name, and its origin."""

    name: str
    origin: Origin
    settings: Mapping[str, SettingValue]

    @property
    def listen(self) -> tuple[Address, ...]:
        """Return the addresses it listens on."""
        return tuple(self.value("listen"))

    @property
    def plugins(self) -> tuple[str, ...]:
        """Return the plugins as they were named; those named by a path are absolute now."""
        return tuple(map(str, self.value("plugins")))

    def value(self, key: str) -> Any:
        """Return the value of a setting, or its default."""
        found = self.settings.get(key)
        return found.value if found else BY_NAME[key].default

    def origin_of(self, key: str) -> Origin:
        """Return the origin of a setting, or that of the service if the setting is not given."""
        found = self.settings.get(key)
        return found.origin if found else self.origin


def from_file(file: TomlFile, problems: Problems) -> list[Draft]:
    """Read every `[service.NAME]` of a file."""
    drafts = []
    for name, table in named_tables(file, "service", problems).items():
        origin = file.origin("service", name)
        read_value(f"the service's name {name!r}", NAME, name, origin, file.path.parent, problems)
        report_unknown(file, ("service", name), table, SERVICE_KEYS, problems)
        settings = {}
        for key in (key for key in table if key in SERVICE_KEYS):
            place, called = file.origin("service", name, key), f"service {name!r}: {key}"
            setting = BY_SERVICE_KEY[key]
            settings[setting.name] = read_setting(setting, called, table[key], place, file.path.parent, problems)
        # An invalid setting counts as not given, and the service stays: its other settings are checked too.
        drafts.append(Draft(name, origin, {key: given for key, given in settings.items() if given is not None}))
    return drafts


def from_flags(layers: Layers) -> dict[str, SettingValue]:
    """Return the settings of a service that flags or environment have."""
    given = (setting for setting in SERVICE_SETTINGS if layers.flag_or_variable(setting) is not None)
    return {setting.name: layers.value(setting) for setting in given}


def merge(drafts: list[Draft], given: Mapping[str, SettingValue], problems: Problems) -> list[Draft]:
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
    return f"write {BY_NAME[key].key} under [service.NAME] in the file"


def _default_draft(origin: Origin) -> Draft:
    listen = SettingValue((address.parse(DEFAULT_ADDRESS),), _DEFAULT_ORIGIN)
    return Draft(DEFAULT_SERVICE, origin, {"listen": listen, "plugins": SettingValue((), _DEFAULT_ORIGIN)})


def complete(drafts: list[Draft], host: Mapping[str, SettingValue], problems: Problems) -> tuple[Service, ...]:
    """Return the services; report missing, repeated and contradictory settings, and addresses used twice.

    `host` has the settings of the host, for services that do not override them.
    """
    for draft in drafts:
        _check_complete(draft, problems)
        _check_tls(draft, problems)
        _check_transport(draft, problems)
    _check_addresses(drafts, problems)
    return tuple(
        Service(
            draft.name,
            draft.listen,
            draft.plugins,
            tls=_tls(draft),
            workers=draft.value("service_workers"),
            **{each.name: draft.settings.get(each.name, host[each.name]).value for each in OVERRIDES},
            **{key: draft.value(key) for key in _AS_WRITTEN},
        )
        for draft in drafts
    )


def origins(drafts: Iterable[Draft]) -> dict[str, Origin]:
    """Return the origin of each setting of each service."""
    return {
        f"service.{draft.name}.{setting.key}": given.origin if given else _DEFAULT_ORIGIN
        for draft in drafts
        for setting in (*SERVICE_SETTINGS, *OVERRIDES)
        for given in (draft.settings.get(setting.name),)
    }


def _tls(draft: Draft) -> Tls | None:
    if not draft.value("certificate"):
        return None
    client_ca = draft.value("client_ca")
    wanted = draft.value("client_certificates")
    # Authorities for client certificates have no other use, so naming them alone means that clients need one.
    if client_ca is not None and "client_certificates" not in draft.settings:
        wanted = "required"
    return Tls(draft.value("certificate"), draft.value("key"), client_ca, wanted, draft.value("alpn"))


def _report(draft: Draft, problems: Problems, key: str, what: str, hint: str | None = None) -> None:
    problems.add(f"service {draft.name!r} {what}", draft.origin_of(key), hint)


def _check_complete(draft: Draft, problems: Problems) -> None:
    report = partial(_report, draft, problems)
    if "listen" not in draft.settings:
        report("listen", "has no address", f'add listen = "{DEFAULT_ADDRESS}" to its table')
    if "plugins" not in draft.settings:
        report("plugins", "has no plugins", 'add plugins = ["NAME"] to its table')
    for name in dict.fromkeys(name for name in draft.plugins if draft.plugins.count(name) > 1):
        report("plugins", f"names the plugin {name!r} twice")


def _check_tls(draft: Draft, problems: Problems) -> None:
    """Report contradictions between addresses, certificates and what needs them."""
    report = partial(_report, draft, problems)
    certificates, keys = draft.value("certificate"), draft.value("key")
    schemes = {each.scheme for each in draft.listen}
    if "tls" in schemes and not certificates:
        report("listen", "has a tls:// address but no certificate", "set certificate and key, each a PEM file")
    if len(certificates) != len(keys):
        report(
            "certificate" if certificates else "key",
            f"has {len(certificates)} certificates and {len(keys)} keys",
            "set one key for each certificate, in the same order",
        )
    starttls = draft.value("starttls")
    if certificates and not schemes & {"tcp", "tls", "fd"} and not starttls:
        hint = "set starttls if a plugin begins TLS on the unix address" if "unix" in schemes else None
        report("certificate", "has a certificate but no TCP address", hint)
    if starttls and not certificates:
        report("starttls", "has starttls but no certificate", "set certificate and key, each a PEM file")
    if starttls and not schemes & {"tcp", "unix", "fd"}:
        report("starttls", "has starttls but no tcp:// or unix:// address, whose clients could begin plain")
    for key in ("client_ca", "client_certificates", "alpn"):
        if key in draft.settings and not certificates:
            report(key, f"has {key} but no certificate, so it does not use TLS")
    if draft.value("client_certificates") != "none" and draft.value("client_ca") is None:
        hint = "set client_ca, the PEM file of the authorities that sign them"
        report("client_certificates", "requests clients' certificates but has no client_ca", hint)


def _check_transport(draft: Draft, problems: Problems) -> None:
    """Report settings that contradict the kinds of address that the service has."""
    report = partial(_report, draft, problems)
    schemes = {each.scheme for each in draft.listen}
    if draft.value("proxy_from") and "udp" in schemes:
        what = "has proxy_from and a UDP address, but UDP has no PROXY header"
        report("proxy_from", what, "move the UDP address to a service of its own")
    # What is passed to the host is known when it starts.
    if not schemes & {"unix", "fd"} and set(draft.value("proxy_from")) == {"unix"}:
        what = "accepts PROXY headers over unix sockets only, but has no unix address"
        report("proxy_from", what, "add the networks of the proxies to proxy_from")
    if "framing" in draft.settings and schemes == {"udp"}:
        report("framing", "has a framing but only UDP addresses, whose datagrams are messages already")
    has_file = any(each.scheme == "unix" and not each.is_abstract for each in draft.listen)
    no_unix = "only abstract unix addresses, which have no file" if "unix" in schemes else "no unix address"
    # A proxy that connects through a unix socket sends the addresses of its clients.
    has_clients = schemes != {"unix"} or bool(draft.value("proxy_from"))
    no_clients = "only unix addresses, whose clients have no IP address"
    connects = not schemes <= {"udp", "unix"} or bool(draft.value("proxy_from"))
    for key, is_used, otherwise in (
        ("unix_mode", has_file, no_unix),
        ("unix_owner", has_file, no_unix),
        ("max_datagram", bool(schemes & {"udp", "fd"}), "no UDP address"),
        ("allow", has_clients, no_clients),
        ("deny", has_clients, no_clients),
        ("max_connections_per_address", connects, "no TCP address"),
        ("accept_rate", schemes != {"udp"}, "only UDP addresses, which have no connections"),
    ):
        if key in draft.settings and not is_used:
            report(key, f"has {key} but {otherwise}")


def _check_addresses(drafts: list[Draft], problems: Problems) -> None:
    # With SO_REUSEPORT two services can bind one address without an error; the kernel then spreads clients over both.
    taken: dict[tuple[str, int | str], Draft] = {}
    for draft in drafts:
        for each in draft.listen:
            others = [taken[socket] for socket in canonical_sockets(each) if socket in taken]
            if others:
                _report_taken(each, draft, others[0], problems)
            taken |= dict.fromkeys(canonical_sockets(each), draft)


def _report_taken(taken: Address, draft: Draft, other: Draft, problems: Problems) -> None:
    if other is draft:
        _report(draft, problems, "listen", f"names the address {taken} twice")
        return
    where = other.origin_of("listen").where
    hint = f"use a different address{f'; the other one is in {where}' if where else ''}"
    _report(draft, problems, "listen", f"listens on {taken}, which service {other.name!r} already uses", hint)


def canonical_sockets(listen: Address) -> Iterator[tuple[str, int | str]]:
    """Yield the sockets that an address needs, in a canonical form; none if the kernel chooses the port."""
    # TLS uses TCP ports; UDP has a port space of its own.
    protocol = "udp " if listen.scheme == "udp" else ""
    if listen.scheme in ("unix", "fd"):
        yield listen.scheme, listen.path
    elif listen.port == 0:
        return
    elif not listen.host:
        # Two sockets, as the listeners bind them: beside a separate 0.0.0.0 socket, a dual-stack one gets no IPv4
        # clients.
        yield f"{protocol}0.0.0.0", listen.port
        yield f"{protocol}::", listen.port
    else:
        yield f"{protocol}{_canonical(listen.host)}", listen.port


def _canonical(host: str) -> str:
    # An IPv6 address has many spellings: ::1 is 0:0:0:0:0:0:0:1.
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
