"""Check a `[plugin.NAME]` table against the options that the plugin declares."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from reactorhost.api.option import Option
from reactorhost.config.plugin_tables import OptionText
from reactorhost.config.problems import Problems
from reactorhost.config.settings import Layer, Origin
from reactorhost.config.values import InvalidValueError
from reactorhost.errors import PluginError, did_you_mean
from reactorhost.plugins import option_values
from reactorhost.plugins.guard import loading
from reactorhost.plugins.identity import LoadedPlugin
from reactorhost.plugins.registry import Registry

WhereOf = Callable[[str], str | None]
"""Returns `FILE:LINE` of a key in the table, or of the table if the key is missing."""


def declared(plugin: LoadedPlugin) -> tuple[Option, ...]:
    """Call a plugin's `options` hook.

    Raises:
        PluginError: the hook raised an exception, or returned anything but options with different names.
    """
    registry = Registry([plugin])
    with loading(plugin.identity, "failed in options", plugin.home):
        options = tuple(option for returned in registry.call("options") for option in returned)
    names = set()
    for option in options:
        if not isinstance(option, Option):
            what = f"plugin {plugin.identity}: options returned {option!r}, which is not an Option"
            raise PluginError(what, where=plugin.file, hint="return a list of reactorhost.Option")
        if option.name in names:
            raise PluginError(f"plugin {plugin.identity} declares option {option.name!r} twice", where=plugin.file)
        names.add(option.name)
    return options


def configure(plugin: LoadedPlugin, table: Mapping[str, object], where_of: WhereOf) -> None:
    """Call a plugin's `configure` hook with the values of its options.

    Raises:
        ConfigError: the table does not match the options.
        PluginError: the hook raised an exception.
    """
    values = fill(plugin.name, plugin.options, table, where_of)
    registry = Registry([plugin])
    with loading(plugin.identity, "failed in configure", plugin.home):
        registry.call("configure", config=MappingProxyType(values))


def fill(name: str, options: Sequence[Option], table: Mapping[str, object], where_of: WhereOf) -> dict[str, object]:
    """Return the value of every option, from the table or its default.

    Raises:
        ConfigError: there are unknown keys, values of another type or missing keys; reports all of them.
    """
    known = {option.name: option for option in options}
    problems = Problems()
    for key in (key for key in table if key not in known):
        what, hint = _unknown(name, key, known)
        problems.add(what, _origin(table, key, where_of), hint)
    values = {}
    for option in options:
        origin = _origin(table, option.name, where_of)
        if option.name not in table and option.required:
            problems.add(f"plugin {name} needs the option {option.name!r}", origin, _write(name, option))
        elif option.name not in table:
            values[option.name] = option_values.default(option)
        else:
            try:
                values[option.name] = option_values.read(option, table[option.name])
            except InvalidValueError as error:
                problems.add(f"{option.name!r} of plugin {name} {error}", origin, error.hint)
    if problems.found:
        raise problems.error()
    return values


def _origin(table: Mapping[str, object], key: str, where_of: WhereOf) -> Origin:
    given = table.get(key)
    return given.origin if isinstance(given, OptionText) else Origin(Layer.FILE, where_of(key) or "")


def _unknown(name: str, key: str, known: Mapping[str, Option]) -> tuple[str, str | None]:
    if not known:
        return f"plugin {name} has no options, so {key!r} has no effect", f"remove {key}"
    hint = did_you_mean(key, known) or f"its options are {', '.join(known)}"
    return f"plugin {name} has no option {key!r}", hint


def _write(name: str, option: Option) -> str:
    described = f" ({option.help})" if option.help else ""
    value = '{ env = "NAME" }' if option.secret else option.kind
    return f"write {option.name} = {value} under [plugin.{name}]{described}"
