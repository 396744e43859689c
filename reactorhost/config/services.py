"""Which services a host runs: those of the file, or one that flags or environment make."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from reactorhost import address
from reactorhost.address import Address
from reactorhost.config import file_tables
from reactorhost.config.layers import Given, GivenList, Layers, checked, checked_list
from reactorhost.config.problems import Problems
from reactorhost.config.service import Service, Tls
from reactorhost.config.settings import (
    BY_NAME,
    DEFAULT_ADDRESS,
    DEFAULT_SERVICE,
    OVERRIDES,
    SERVICE_KEYS,
    SERVICE_SETTINGS,
    Origin,
    Setting,
    Source,
)
from reactorhost.config.toml_file import TomlFile
from reactorhost.config.values import NAME

_DEFAULT = Origin(Source.DEFAULT)


@dataclass(frozen=True, slots=True)
class Draft:
    """A service that may still lack something, and where it was written; `given` goes by the names of settings."""

    name: str
    origin: Origin
    given: Mapping[str, Given | GivenList]

    @property
    def listen(self) -> tuple[Address, ...]:
        """Return its addresses."""
        return tuple(value for value in self.values("listen") if isinstance(value, Address))

    @property
    def plugins(self) -> tuple[str, ...]:
        """Return its plugins."""
        return tuple(str(value) for value in self.values("plugins"))

    def values(self, key: str) -> tuple[Any, ...]:
        """Return what a setting that takes many was given."""
        given = self.given.get(key)
        return given.values if isinstance(given, GivenList) else ()

    def value(self, key: str) -> Any:
        """Return what a setting was given, or its default."""
        given = self.given.get(key)
        return given.value if isinstance(given, Given) else BY_NAME[key].default

    def place(self, key: str) -> Origin:
        """Return where a setting was given, or else the service."""
        given = self.given.get(key)
        return given.origin if given else self.origin


def in_file(file: TomlFile, problems: Problems) -> list[Draft]:
    """Read every `[service.NAME]` of a file."""
    drafts = []
    for name, table in file_tables.named(file, "service", problems).items():
        origin = file.origin("service", name)
        checked(f"the service's name {name!r}", NAME, name, origin, file.path.parent, problems)
        file_tables.note_unknown(file, ("service", name), table, SERVICE_KEYS, problems)
        read = {
            key: _read(file, name, BY_NAME[key], raw, problems) for key, raw in table.items() if key in SERVICE_KEYS
        }
        drafts.append(Draft(name, origin, {key: given for key, given in read.items() if given is not None}))
    return drafts


def _read(file: TomlFile, name: str, setting: Setting, raw: object, problems: Problems) -> Given | GivenList | None:
    read = checked_list if setting.many else checked
    origin = file.origin("service", name, setting.name)
    return read(f"service {name!r}: {setting.name}", setting.kind, raw, origin, file.path.parent, problems)


def outside(layers: Layers) -> dict[str, Given | GivenList]:
    """Return what flags and environment give to a service."""
    found: dict[str, Given | GivenList] = {}
    for setting in SERVICE_SETTINGS:
        if layers.outside(setting) is not None:
            given = layers.many(setting) if setting.many else layers.one(setting)
            found |= {setting.name: given} if given is not None else {}
    return found


def choose(drafts: list[Draft], given: Mapping[str, Given | GivenList], problems: Problems) -> list[Draft]:
    """Lay what flags or environment give over the services of the file.

    Plugins and addresses together replace them all. Anything else goes to the only service there is, and is a
    problem if there are several.
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
        problems.add(what, origin, _how_to_say(first))
        return drafts
    draft = drafts[0] if drafts else _default_draft(origin)
    return [replace(draft, given={**draft.given, **given})]


def _how_to_say(key: str) -> str:
    if key in {"plugins", "listen"}:
        other = BY_NAME["listen" if key == "plugins" else "plugins"].flag
        return f"give {other} as well to serve this instead of the file's services"
    return f"write {key} under [service.NAME] in the file"


def _default_draft(origin: Origin) -> Draft:
    address_given = GivenList((address.parse(DEFAULT_ADDRESS),), _DEFAULT)
    return Draft(DEFAULT_SERVICE, origin, {"listen": address_given, "plugins": GivenList((), _DEFAULT)})


def complete(drafts: list[Draft], idle_timeout: float | None, problems: Problems) -> tuple[Service, ...]:
    """Return the services, and note what they lack, name twice, or take from each other.

    `idle_timeout` is the host's, for services without one of their own.
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
            idle_timeout=draft.value("idle_timeout") if "idle_timeout" in draft.given else idle_timeout,
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
    """Return where each service's settings were given."""
    return {
        f"service.{draft.name}.{setting.name}": draft.given[setting.name].origin
        if setting.name in draft.given
        else _DEFAULT
        for draft in drafts
        for setting in (*SERVICE_SETTINGS, *OVERRIDES)
    }


def _tls(draft: Draft) -> Tls | None:
    if not draft.values("certificate"):
        return None
    client_ca = draft.value("client_ca")
    wanted = draft.value("client_certificates")
    if client_ca is not None and "client_certificates" not in draft.given:
        wanted = "required"
    return Tls(draft.values("certificate"), draft.values("key"), client_ca, wanted, draft.values("alpn"))


def _check_transport(draft: Draft, problems: Problems) -> None:
    """Note what does not fit together in how clients are spoken to."""
    name, certificates, keys = f"service {draft.name!r}", draft.values("certificate"), draft.values("key")
    schemes = {each.scheme for each in draft.listen}
    if "tls" in schemes and not certificates:
        hint = "give it certificate and key, each a PEM file"
        problems.add(f"{name} listens with TLS and has no certificate", draft.place("listen"), hint)
    if len(certificates) != len(keys):
        what = f"{name} has {len(certificates)} certificates and {len(keys)} keys"
        problems.add(what, draft.place("certificate" if certificates else "key"), "give a key for each certificate")
    if certificates and not schemes & {"tcp", "tls"}:
        problems.add(f"{name} has a certificate and no TCP address", draft.place("certificate"))
    for key in ("client_ca", "client_certificates", "alpn"):
        if key in draft.given and not certificates:
            problems.add(f"{name} has {key} and no certificate, so it speaks no TLS", draft.place(key))
    if draft.value("client_certificates") != "none" and draft.value("client_ca") is None:
        hint = "give it client_ca, the PEM file of who signs them"
        problems.add(
            f"{name} asks for clients' certificates and trusts nobody", draft.place("client_certificates"), hint
        )
    if draft.values("proxy_from") and "udp" in schemes:
        what = f"{name} listens with UDP, which has no PROXY header"
        problems.add(what, draft.place("proxy_from"), "give the UDP address a service of its own")
    if "unix" not in schemes and set(draft.values("proxy_from")) == {"unix"}:
        what = f"{name} takes PROXY headers over unix sockets only, and has no unix address"
        problems.add(what, draft.place("proxy_from"), "name the networks of the proxies")
    if "framing" in draft.given and schemes == {"udp"}:
        problems.add(f"{name} has only datagrams, which are messages already", draft.place("framing"))


def _check_kinds(draft: Draft, problems: Problems) -> None:
    """Note what is for a kind of address that the service has not."""
    schemes = {each.scheme for each in draft.listen}
    for key, scheme, words in (
        ("unix_mode", "unix", "unix address"),
        ("unix_owner", "unix", "unix address"),
        ("max_datagram", "udp", "UDP address"),
    ):
        if key in draft.given and scheme not in schemes:
            problems.add(f"service {draft.name!r} has {key} and no {words}", draft.place(key))


def _check_complete(draft: Draft, problems: Problems) -> None:
    if "listen" not in draft.given:
        problems.add(f"service {draft.name!r} has no address", draft.origin, f'add listen = "{DEFAULT_ADDRESS}" to it')
    if "plugins" not in draft.given:
        problems.add(f"service {draft.name!r} has no plugins", draft.origin, 'add plugins = ["NAME"] to it')


def _check_plugins(draft: Draft, problems: Problems) -> None:
    names = draft.plugins
    for name in dict.fromkeys(name for name in names if names.count(name) > 1):
        problems.add(f"service {draft.name!r} names the plugin {name!r} twice", draft.place("plugins"))


def _check_addresses(drafts: list[Draft], problems: Problems) -> None:
    # SO_REUSEPORT lets two services bind one address without an error and share out the clients between them.
    taken: dict[tuple[str, int | str], Draft] = {}
    for draft in drafts:
        for each in draft.listen:
            others = [taken[place] for place in _places(each) if place in taken]
            if others:
                _note_taken(each, draft, others[0], problems)
            taken |= dict.fromkeys(_places(each), draft)


def _note_taken(taken: Address, draft: Draft, other: Draft, problems: Problems) -> None:
    origin = draft.place("listen")
    if other is draft:
        problems.add(f"service {draft.name!r} names the address {taken} twice", origin)
        return
    what = f"service {draft.name!r} listens on {taken}, which service {other.name!r} has already"
    where = other.place("listen").where
    problems.add(what, origin, f"give each service an address of its own{f' (that is in {where})' if where else ''}")


def _places(listen: Address) -> Iterator[tuple[str, int | str]]:
    """Yield the sockets that an address stands for, in one spelling; none when the kernel chooses the port."""
    # TCP and TLS share the ports of the kernel; UDP has its own.
    protocol = "udp " if listen.scheme == "udp" else ""
    if listen.scheme == "unix":
        yield "unix", listen.path
    elif listen.port == 0:
        return
    elif not listen.host:
        yield f"{protocol}0.0.0.0", listen.port
        yield f"{protocol}::", listen.port
    else:
        yield f"{protocol}{_one_spelling(listen.host)}", listen.port


def _one_spelling(host: str) -> str:
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
