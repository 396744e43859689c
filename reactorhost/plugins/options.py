"""Check the operator's `[plugin.NAME]` table against the options that the plugin declares."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from reactorhost.errors import ConfigError, PluginError, Problem, did_you_mean
from reactorhost.hookspecs import Option
from reactorhost.plugins.guard import loading
from reactorhost.plugins.identity import LoadedPlugin
from reactorhost.plugins.registry import Registry

WhereOf = Callable[[str], str | None]
"""Returns `FILE:LINE` of a key in the table, or of the table when the key is not there."""


def declared(plugin: LoadedPlugin) -> tuple[Option, ...]:
    """Ask a plugin for its options.

    Raises:
        PluginError: its hook raised, or returned something else than options with different names.
    """
    registry = Registry([plugin])
    with loading(plugin.identity, "failed in options", plugin.home):
        options = tuple(option for returned in registry.call("options") for option in returned)
    names = set()
    for option in options:
        if not isinstance(option, Option):
            what = f"plugin {plugin.identity}: options returned {option!r}"
            raise PluginError(what, where=plugin.file, hint="return a list of reactorhost.Option")
        if option.name in names:
            raise PluginError(f"plugin {plugin.identity} declares option {option.name!r} twice", where=plugin.file)
        names.add(option.name)
    return options


def configure(plugin: LoadedPlugin, table: Mapping[str, object], where_of: WhereOf) -> None:
    """Hand a plugin the values of its options.

    Raises:
        ConfigError: the table does not fit the options.
        PluginError: the plugin's hook raised.
    """
    values = fill(plugin.name, plugin.options, table, where_of)
    registry = Registry([plugin])
    with loading(plugin.identity, "failed in configure", plugin.home):
        registry.call("configure", config=MappingProxyType(values))


def fill(name: str, options: Sequence[Option], table: Mapping[str, object], where_of: WhereOf) -> dict[str, object]:
    """Return the value of every option, from the table or by default.

    Raises:
        ConfigError: with every problem there is: unknown keys, wrong types, required keys that are missing.
    """
    known = {option.name: option for option in options}
    problems = [_unknown(name, key, known, where_of) for key in table if key not in known]
    values = {}
    for option in options:
        value = table.get(option.name, option.default)
        if value is ...:
            what = f"plugin {name} needs {option.name!r}"
            problems.append(Problem(what, where_of(option.name), _write(name, option)))
        elif option.name in table and not option.accepts(value):
            what = f"{option.name!r} of plugin {name} is {value!r}, which is not {option.kind}"
            problems.append(Problem(what, where_of(option.name), option.help or None))
        else:
            values[option.name] = _own(option, value)
    if problems:
        raise ConfigError(problems)
    return values


def _unknown(name: str, key: str, known: Mapping[str, Option], where_of: WhereOf) -> Problem:
    if not known:
        return Problem(f"plugin {name} has no options, so {key!r} means nothing", where_of(key))
    hint = did_you_mean(key, known) or f"its options are {', '.join(known)}"
    return Problem(f"plugin {name} has no option {key!r}", where_of(key), hint)


def _write(name: str, option: Option) -> str:
    described = f" ({option.help})" if option.help else ""
    return f"write {option.name} = {option.kind} under [plugin.{name}]{described}"


def _own(option: Option, value: object) -> object:
    # A list is copied: the declared default, or the configuration, must not change when the plugin changes its own.
    if isinstance(value, list):
        return list(value)
    return float(value) if option.type is float and isinstance(value, int) else value
