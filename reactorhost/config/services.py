"""Which services a host runs: those of the file, or one that flags or environment make."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from reactorhost import address
from reactorhost.address import Address
from reactorhost.config import file_tables
from reactorhost.config.layers import GivenList, checked, checked_list
from reactorhost.config.problems import Problems
from reactorhost.config.settings import BY_NAME, DEFAULT_ADDRESS, DEFAULT_SERVICE, SERVICE_KEYS, Origin, Service, Source
from reactorhost.config.toml_file import TomlFile
from reactorhost.config.values import NAME

_DEFAULT = Origin(Source.DEFAULT)


@dataclass(frozen=True, slots=True)
class Draft:
    """A service that may still lack something, and where it was written."""

    name: str
    origin: Origin
    listen: GivenList | None = None
    plugins: GivenList | None = None


def in_file(file: TomlFile, problems: Problems) -> list[Draft]:
    """Read every `[service.NAME]` of a file."""
    drafts = []
    for name, table in file_tables.named(file, "service", problems).items():
        origin = file.origin("service", name)
        checked(f"the service's name {name!r}", NAME, name, origin, file.path.parent, problems)
        file_tables.note_unknown(file, ("service", name), table, SERVICE_KEYS, problems)
        lists = {key: _list(file, name, key, table[key], problems) for key in ("listen", "plugins") if key in table}
        drafts.append(Draft(name, origin, **lists))
    return drafts


def _list(file: TomlFile, name: str, key: str, raw: object, problems: Problems) -> GivenList:
    origin = file.origin("service", name, key)
    return checked_list(f"service {name!r}: {key}", BY_NAME[key].kind, raw, origin, file.path.parent, problems)


def choose(drafts: list[Draft], plugins: GivenList | None, listen: GivenList | None, problems: Problems) -> list[Draft]:
    """Lay what flags or environment name over the services of the file.

    Both together replace them all. One alone goes to the only service there is, and is a problem if there are
    several.
    """
    if plugins and listen:
        return [Draft(DEFAULT_SERVICE, plugins.origin, listen, plugins)]
    alone = plugins or listen
    if alone is None:
        return drafts
    if len(drafts) > 1:
        names = ", ".join(draft.name for draft in drafts)
        other = BY_NAME["listen" if plugins else "plugins"].flag
        what = f"{alone.origin.where} does not say which service it is for; the file has {len(drafts)}: {names}"
        problems.add(what, alone.origin, f"give {other} as well to serve this instead of the file's services")
        return drafts
    draft = drafts[0] if drafts else _default_draft(alone.origin)
    return [replace(draft, plugins=plugins) if plugins else replace(draft, listen=listen)]


def _default_draft(origin: Origin) -> Draft:
    return Draft(
        DEFAULT_SERVICE, origin, GivenList((address.parse(DEFAULT_ADDRESS),), _DEFAULT), GivenList((), _DEFAULT)
    )


def complete(drafts: list[Draft], problems: Problems) -> tuple[Service, ...]:
    """Return the services, and note what they lack, name twice, or take from each other."""
    for draft in drafts:
        _check_complete(draft, problems)
        _check_plugins(draft, problems)
    _check_addresses(drafts, problems)
    return tuple(Service(draft.name, _addresses(draft), _plugins(draft)) for draft in drafts)


def origins(drafts: Iterable[Draft]) -> dict[str, Origin]:
    """Return where each service's addresses and plugins were given."""
    return {
        f"service.{draft.name}.{key}": given.origin if given else _DEFAULT
        for draft in drafts
        for key, given in (("listen", draft.listen), ("plugins", draft.plugins))
    }


def _addresses(draft: Draft) -> tuple[Address, ...]:
    values = draft.listen.values if draft.listen else ()
    return tuple(value for value in values if isinstance(value, Address))


def _plugins(draft: Draft) -> tuple[str, ...]:
    values = draft.plugins.values if draft.plugins else ()
    return tuple(str(value) for value in values)


def _check_complete(draft: Draft, problems: Problems) -> None:
    if draft.listen is None:
        problems.add(f"service {draft.name!r} has no address", draft.origin, f'add listen = "{DEFAULT_ADDRESS}" to it')
    if draft.plugins is None:
        problems.add(f"service {draft.name!r} has no plugins", draft.origin, 'add plugins = ["NAME"] to it')


def _check_plugins(draft: Draft, problems: Problems) -> None:
    names = _plugins(draft)
    for name in dict.fromkeys(name for name in names if names.count(name) > 1):
        assert draft.plugins is not None
        problems.add(f"service {draft.name!r} names the plugin {name!r} twice", draft.plugins.origin)


def _check_addresses(drafts: list[Draft], problems: Problems) -> None:
    # SO_REUSEPORT lets two services bind one address without an error and share out the clients between them.
    taken: dict[tuple[str, int | str], Draft] = {}
    for draft in drafts:
        for each in _addresses(draft):
            others = [taken[place] for place in _places(each) if place in taken]
            if others:
                _note_taken(each, draft, others[0], problems)
            taken |= dict.fromkeys(_places(each), draft)


def _note_taken(taken: Address, draft: Draft, other: Draft, problems: Problems) -> None:
    assert draft.listen is not None
    assert other.listen is not None
    if other is draft:
        problems.add(f"service {draft.name!r} names the address {taken} twice", draft.listen.origin)
        return
    what = f"service {draft.name!r} listens on {taken}, which service {other.name!r} has already"
    place = f" (that is in {other.listen.origin.where})" if other.listen.origin.where else ""
    problems.add(what, draft.listen.origin, f"give each service an address of its own{place}")


def _places(listen: Address) -> Iterator[tuple[str, int | str]]:
    """Yield the sockets that an address stands for, in one spelling; none when the kernel chooses the port."""
    if listen.scheme == "unix":
        yield "unix", listen.path
    elif listen.port == 0:
        return
    elif not listen.host:
        yield "0.0.0.0", listen.port
        yield "::", listen.port
    else:
        yield _one_spelling(listen.host), listen.port


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
    return {name for draft in drafts for name in _plugins(draft)}
