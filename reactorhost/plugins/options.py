"""Check a `[plugin.NAME]` table against the options that the plugin declares, and convert its values.

No error contains a value that comes from the environment or a file, or the value of a secret option.
"""

from __future__ import annotations

import copy
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType

from reactorhost.api.option import Option
from reactorhost.api.setup_error import SetupError
from reactorhost.config.plugin_tables import FromEnvironment, FromFile, OptionText, not_a_reference
from reactorhost.config.problems import Problems, together
from reactorhost.config.settings import Layer, Origin
from reactorhost.config.values import SWITCH, InvalidValueError
from reactorhost.errors import ConfigError, PluginError, did_you_mean
from reactorhost.plugins import tracebacks
from reactorhost.plugins.guard import loading
from reactorhost.plugins.identity import LoadedPlugin
from reactorhost.plugins.registry import Registry

_MAX_BYTES = 64 << 10
_MAX_SHOWN = 200
_WHOLE = re.compile(r"[+-]?[0-9]+(?:_[0-9]+)*")

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


def configure(
    plugin: LoadedPlugin, table: Mapping[str, object], where_of: WhereOf, services: Sequence[str] = ()
) -> None:
    """Call a plugin's `configure` hook with the values of its options, and the names of the services that use it.

    Raises:
        ConfigError: the table does not match the options, or the hook raised a `SetupError` with an option, or several.
        PluginError: the hook raised another exception, or code that an option names has failed.
    """
    values = fill(plugin.name, plugin.options, table, where_of)
    registry = Registry([plugin])
    try:
        with loading(plugin.identity, "failed in configure", plugin.home):
            registry.call("configure", config=MappingProxyType(values), services=tuple(services))
    except PluginError as failed:
        refusals = list(_refusals(failed.__cause__))
        if not refusals:
            raise
        raise together([_refused(plugin, each, table, where_of) for each in refusals]) from failed.__cause__


def _refusals(error: BaseException | None) -> Iterator[SetupError]:
    """Yield a `SetupError`, or those of a group that has nothing else."""
    if isinstance(error, SetupError):
        yield error
    elif isinstance(error, ExceptionGroup) and error.split(SetupError)[1] is None:
        for each in error.exceptions:
            yield from _refusals(each)


def _refused(
    plugin: LoadedPlugin, error: SetupError, table: Mapping[str, object], where_of: WhereOf
) -> ConfigError | PluginError:
    option = error.option
    if option is None:
        what = f"plugin {plugin.identity} failed in configure: {tracebacks.headline(error)}"
        return PluginError(what, hint=error.hint)
    what = f"{option!r} of plugin {plugin.name}: {error}"
    cause = error.__cause__
    if cause is not None:
        where = tracebacks.place(cause, None)
        return PluginError(what, where=where, hint=error.hint, details=tracebacks.text(cause))
    problems = Problems()
    problems.add(what, _origin(table, option, where_of), error.hint)
    return problems.error()


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
            values[option.name] = _copied(option, option.default)
        else:
            try:
                values[option.name] = read(option, table[option.name])
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


def read(option: Option, given: object) -> object:
    """Return the value of an option.

    Raises:
        InvalidValueError: the variable or file has no value, or the value is not of the option's type.
    """
    value = shown = given
    source = None
    match given:
        case OptionText(text):
            value, shown = _from_text(option, text), text
        case FromEnvironment() | FromFile() if option.type is dict:
            # It looks like a reference, and a table is a value of this option.
            value = dict(given.table)
        case FromEnvironment(variable):
            value, source = _from_text(option, _of_environment(variable)), f"environment variable {variable}"
        case FromFile(path):
            value, source = _from_text(option, _of_file(str(path))), f"file {path}"
    if option.accepts(value):
        return _copied(option, value)
    if isinstance(value, dict):
        raise not_a_reference(value)
    raise _invalid(option, shown, source)


def _copied(option: Option, value: object) -> object:
    # A plugin may change a list that it gets; the declared default and the configuration must not change.
    if isinstance(value, list | dict):
        return copy.deepcopy(value)
    return float(value) if option.type is float and isinstance(value, int) else value


def _invalid(option: Option, shown: object, source: str | None) -> InvalidValueError:
    hint = option.help or None
    if source is not None:
        return InvalidValueError(f"from the {source} is not {option.kind}", hint)
    if option.secret:
        return InvalidValueError(f"is not {option.kind}", hint)
    near = did_you_mean(shown, map(str, option.choices)) if isinstance(shown, str) else None
    written = repr(shown)
    written = written if len(written) <= _MAX_SHOWN else f"{written[:_MAX_SHOWN]}..."
    return InvalidValueError(f"is {written}, which is not {option.kind}", near or hint)


def _from_text(option: Option, text: str) -> object:
    """Return the text converted to the option's type, or unchanged if that is not possible."""
    try:
        return _READERS.get(option.type, str)(text)
    except ValueError:
        return text


def _whole(text: str) -> object:
    return int(text) if _WHOLE.fullmatch(text.strip()) else text


def _number(text: str) -> object:
    # float() accepts the digits of all scripts, TOML those of ASCII.
    return float(text) if text.isascii() else text


def _items(text: str) -> object:
    return [item.strip() for item in text.split(",") if item.strip()]


def _table(text: str) -> object:
    import tomllib

    # Only an inline table: a text with line ends could define other keys.
    if not text.isprintable():
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except RecursionError:
        return text


_READERS: Mapping[type, Callable[[str], object]] = {
    bool: SWITCH.from_text,
    int: _whole,
    float: _number,
    list: _items,
    dict: _table,
}


def _of_environment(variable: str) -> str:
    text = os.environ.get(variable)
    if not text:
        state = "not set" if text is None else "empty"
        hint = f"set {variable} in the environment of the host"
        raise InvalidValueError(f"is read from the environment variable {variable}, which is {state}", hint)
    return text


def _of_file(path: str) -> str:
    """Return the content of a file without a line end at its end."""
    try:
        content = _content(path)
    except OSError as error:
        raise _file_error(path, f"cannot be read: {error.strerror}") from None
    if len(content) > _MAX_BYTES:
        raise _file_error(path, "is longer than 64 KiB")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        # Without the cause: it contains the content of the file.
        raise _file_error(path, "is not UTF-8 text") from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise _file_error(path, "is empty")
    return text


def _content(path: str) -> bytes:
    # Non-blocking: opening a FIFO without a writer would block the boot of the worker.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _file_error(path, "is not a regular file")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(_MAX_BYTES + 1)
    finally:
        os.close(descriptor)


def _file_error(path: str, state: str) -> InvalidValueError:
    return InvalidValueError(f"is read from the file {path}, which {state}")
