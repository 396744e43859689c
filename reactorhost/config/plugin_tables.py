"""The options of plugins as an operator gives them: tables `[plugin.NAME]`, `--set NAME.key=value`, REACTORHOST_SET.

Their values are checked later, when the plugin is loaded and has declared its options: `plugins.options` reads them.
Only then is it known whether a table such as `{ env = "NAME" }` refers to a value, or is that of an option of tables.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from reactorhost.config.layers import Layers
from reactorhost.config.plugin_names import name_of
from reactorhost.config.problems import Problems
from reactorhost.config.settings import BY_NAME, Layer, Origin
from reactorhost.config.toml_file import TomlFile, named_tables
from reactorhost.config.values import PATH, InvalidValueError, plain_text, written
from reactorhost.errors import did_you_mean

PluginTables = Mapping[str, Mapping[str, object]]

_SET = BY_NAME["set"]
_SHAPES = 'write { env = "NAME" } or { file = "PATH" }'


@dataclass(frozen=True, slots=True)
class OptionText:
    """The text of a flag or variable, to be converted to the type of the option."""

    # It may be a secret, and a dataclass may end up in a traceback.
    text: str = field(repr=False)
    origin: Origin


@dataclass(frozen=True, slots=True)
class FromEnvironment:
    """The value of an environment variable at the time when a worker boots."""

    variable: str

    @property
    def table(self) -> Mapping[str, object]:
        """Return what is written in the file."""
        return {"env": self.variable}

    def __str__(self) -> str:
        return f'{{ env = "{self.variable}" }}'


@dataclass(frozen=True, slots=True)
class FromFile:
    """The content of a file at the time when a worker boots."""

    path: Path
    written: str = field(default="", compare=False)

    @property
    def table(self) -> Mapping[str, object]:
        """Return what is written in the file."""
        return {"file": self.written}

    def __str__(self) -> str:
        return f'{{ file = "{self.path}" }}'


def from_file(file: TomlFile, named: Iterable[str], problems: Problems) -> PluginTables:
    """Return the tables; report each that is for none of the `named` plugins."""
    tables = named_tables(file, "plugin", problems)
    known = {name_of(plugin) for plugin in named}
    for name in (name for name in tables if name not in known):
        what = f"[plugin.{name}] is for a plugin that no service uses"
        report_unnamed(what, name, known, file.origin("plugin", name), problems)
    return {
        name: {key: _value(value, file.path.parent) for key, value in table.items()} for name, table in tables.items()
    }


def report_unnamed(what: str, name: str, known: Collection[str], origin: Origin, problems: Problems) -> None:
    """Report a table or value for a plugin that no service uses, with the most similar name as the hint."""
    hint = did_you_mean(name, known) or f"the services use: {', '.join(sorted(known)) or 'no plugin'}"
    problems.add(what, origin, hint)


def with_texts(tables: PluginTables, texts: Mapping[str, Mapping[str, OptionText]]) -> PluginTables:
    """Return the tables with the values of flags and environment in place of those of the file."""
    names = [*tables, *(name for name in texts if name not in tables)]
    return {name: {**tables.get(name, {}), **texts.get(name, {})} for name in names}


def origins(file: TomlFile | None, tables: PluginTables) -> dict[str, Origin]:
    """Return the origin of each table and each of its keys."""
    found = {f"plugin.{name}": file.origin("plugin", name) for name in tables} if file else {}
    for name, table in tables.items():
        for key, value in table.items():
            if isinstance(value, OptionText):
                found[f"plugin.{name}.{key}"] = value.origin
            elif file is not None:
                found[f"plugin.{name}.{key}"] = file.origin("plugin", name, key)
    return found


def variables(tables: PluginTables) -> set[str]:
    """Return the environment variables that values refer to."""
    values = (value for table in tables.values() for value in table.values())
    return {value.variable for value in values if isinstance(value, FromEnvironment)}


def from_texts(layers: Layers, named: Iterable[str]) -> dict[str, dict[str, OptionText]]:
    """Return the texts by table and key; report each that is malformed or for none of the `named` plugins.

    A flag overrides the environment, and a later flag an earlier one.
    """
    known = {name_of(plugin) for plugin in named}
    tables: dict[str, dict[str, OptionText]] = {}
    for line, origin in _lines(layers):
        place, sign, text = line.partition("=")
        # At the last dot: `my.module:object` contains dots.
        plugin, _, key = (part.strip() for part in place.rpartition("."))
        if not (plugin and key and sign):
            # The value may be a secret.
            shown = written(f"{place}=..." if sign else place)
            hint = f"for example {_SET.flag} echo.limit=5"
            layers.problems.add(f"{origin.where} must be NAME.key=value, not {shown}", origin, hint)
            continue
        table = plugin if plugin in known else name_of(plugin)
        if table not in known:
            what = f"{origin.where} {place.strip()} is for a plugin that no service uses"
            report_unnamed(what, table, known, origin, layers.problems)
            continue
        tables.setdefault(table, {})[key] = OptionText(text, origin)
    return tables


def _lines(layers: Layers) -> Iterator[tuple[str, Origin]]:
    # One line an option, not separated by commas: a list contains commas.
    for line in layers.environ.get(_SET.variable, "").split("\n"):
        if line.strip():
            yield line.lstrip(), Origin(Layer.ENVIRONMENT, _SET.variable)
    flags = layers.flags.get(_SET.name)
    for text in flags if isinstance(flags, list | tuple) else ():
        yield str(text), Origin(Layer.FLAG, _SET.flag)


def _value(value: object, folder: Path) -> object:
    if not isinstance(value, dict):
        return value
    try:
        return _reference(value, folder)
    except InvalidValueError:
        return value


def not_a_reference(table: Mapping[str, object]) -> InvalidValueError:
    """Return the error for a table that is the value of an option of another type, and refers to nothing."""
    try:
        _reference(table, Path())
    except InvalidValueError as error:
        return error
    raise AssertionError(table)


def _reference(table: Mapping[str, object], folder: Path) -> FromEnvironment | FromFile:
    """Return the source that `{ env = "NAME" }` or `{ file = "PATH" }` means; a relative path is below `folder`.

    Raises:
        InvalidValueError: it is another table, or the name or the path is malformed.
    """
    if table.keys() == {"env"}:
        variable = plain_text(table["env"], "the name of an environment variable")
        if "=" in variable:
            raise InvalidValueError(f"must be the name of an environment variable, not {variable!r}", _SHAPES)
        return FromEnvironment(variable)
    if table.keys() == {"file"}:
        path = PATH.read(table["file"])
        return FromFile(folder / str(path), str(table["file"]))
    raise InvalidValueError(f"must not be a table with {', '.join(table) or 'no key'}", _SHAPES)
