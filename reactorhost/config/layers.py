"""Look up the value of a setting in the layers that may set it: flag, environment, file, default.

Every value of the file is checked, also one that a flag overrides.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reactorhost.config.problems import Problems
from reactorhost.config.settings import BY_NAME, HOST_TABLES, Layer, Origin, Setting
from reactorhost.config.toml_file import TomlFile
from reactorhost.config.values import InvalidValueError, ValueKind

# click passes () for a flag that can be repeated and was not given. 0 and False are values.
_NOT_GIVEN: tuple[object, ...] = (None, (), [])


class Arguments(tuple[str, ...]):
    """Values of a setting that were passed as arguments, without its flag."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class SettingValue:
    """A checked value, of a setting that can be repeated a tuple of values, and its origin."""

    value: Any
    origin: Origin


@dataclass(slots=True)
class Layers:
    """The values of each layer; an invalid value is reported to `problems` and counts as not given."""

    flags: Mapping[str, object]
    environ: Mapping[str, str]
    cwd: Path
    problems: Problems
    file_values: dict[str, SettingValue] = field(default_factory=dict)

    def add_file(self, file: TomlFile, names: Collection[str] = BY_NAME.keys()) -> None:
        """Check the settings `names` of a file's `[host]` and `[bus]`; flags and environment override their values."""
        for table, settings in HOST_TABLES.items():
            values = file.data.get(table)
            if not isinstance(values, dict):
                continue
            for setting in (settings[key] for key in values if key in settings and settings[key].name in names):
                key, origin = setting.key, file.origin(table, setting.key)
                # Relative to the file: a path in it then means the same from every working directory.
                found = read_value(key, setting.kind, values[key], origin, file.path.parent, self.problems)
                if found is not None:
                    self.file_values[setting.name] = found

    def value(self, setting: Setting) -> SettingValue:
        """Return the value of the strongest layer that has one."""
        given = self.flag_or_variable(setting)
        if given is None:
            return self.file_values.get(setting.name) or SettingValue(setting.default, Origin(Layer.DEFAULT))
        raw, origin = given
        # A flag is repeated for each value; a variable has all of them, separated by commas.
        called = setting.flag.lstrip("-").replace("-", "_") if setting.many else setting.name
        if isinstance(raw, str) and not setting.many:
            raw = setting.kind.from_text(raw)
        elif isinstance(raw, str) and origin.layer is Layer.ENVIRONMENT:
            raw = [part.strip() for part in raw.split(",") if part.strip()]
        found = read_setting(setting, called, raw, origin, self.cwd, self.problems)
        # Invalid, and reported. The value of the file would be the wrong one: the operator meant to override it.
        return found or SettingValue(setting.default, origin)

    def flag_or_variable(self, setting: Setting) -> tuple[object, Origin] | None:
        """Return the unchecked value of the flag, else of the variable; an empty variable counts as unset."""
        flag = self.flags.get(setting.name)
        if flag not in _NOT_GIVEN:
            spelling = setting.off_flag if flag is False and setting.off_flag else setting.flag
            if isinstance(flag, Arguments):
                spelling = f"argument {setting.flag.lstrip('-').upper()}"
            return flag, Origin(Layer.FLAG, spelling)
        text = self.environ.get(setting.variable, "")
        return (text, Origin(Layer.ENVIRONMENT, setting.variable)) if text.strip() else None


def read_value(
    called: str, kind: ValueKind, raw: object, origin: Origin, folder: Path, problems: Problems
) -> SettingValue | None:
    """Return `raw` read as `kind`, or None if it is invalid, which is reported; a relative path is below `folder`."""
    try:
        value = kind.read(raw)
    except InvalidValueError as error:
        problems.add(f"{called} {error}", origin, error.hint)
        return None
    return SettingValue(folder / value if isinstance(value, Path) else value, origin)


def read_setting(
    setting: Setting, called: str, raw: object, origin: Origin, folder: Path, problems: Problems
) -> SettingValue | None:
    """Return `raw` read as the setting's kind; of a repeated setting, a tuple without the values that are invalid."""
    if not setting.many:
        return read_value(called, setting.kind, raw, origin, folder, problems)
    items = list(raw) if isinstance(raw, list | tuple) else [raw]
    if not items:
        problems.add(f"{called} must name at least one", origin)
    found = [read_value(called, setting.kind, item, origin, folder, problems) for item in items]
    return SettingValue(tuple(each.value for each in found if each), origin)
