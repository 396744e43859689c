"""Look up the value of a setting in the layers that may set it: flag, environment, file, default.

Every value of the file is checked, also one that a flag overrides.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from reactorhost.config.problems import Problems
from reactorhost.config.settings import BY_NAME, HOST_KEYS, Layer, Origin, Setting
from reactorhost.config.toml_file import TomlFile
from reactorhost.config.values import InvalidValueError, ValueKind

# click passes () for a flag that can be repeated and was not given. 0 and False are values.
_NOT_GIVEN: tuple[object, ...] = (None, (), [])


@dataclass(frozen=True, slots=True)
class SettingValue:
    """A checked value and its origin."""

    value: object
    origin: Origin


@dataclass(frozen=True, slots=True)
class SettingList:
    """The checked values of a setting that can be repeated, and their origin."""

    values: tuple[object, ...]
    origin: Origin


@dataclass(slots=True)
class Layers:
    """The values of each layer; an invalid value is reported to `problems` and counts as not given."""

    flags: Mapping[str, object]
    environ: Mapping[str, str]
    cwd: Path
    problems: Problems
    file_values: dict[str, SettingValue] = field(default_factory=dict)

    def add_file(self, file: TomlFile, names: Collection[str] = HOST_KEYS) -> None:
        """Check the keys `names` of a file's `[host]` and use their values below those of flags and environment."""
        host = file.data.get("host")
        if not isinstance(host, dict):
            return
        for name in (name for name in host if name in names and name in HOST_KEYS):
            origin = file.origin("host", name)
            found = read_value(name, BY_NAME[name].kind, host[name], origin, file.path.parent, self.problems)
            if found is not None:
                self.file_values[name] = found

    def value(self, setting: Setting) -> SettingValue:
        """Return the value of the strongest layer that has one."""
        given = self.flag_or_variable(setting)
        if given is None:
            return self.file_values.get(setting.name) or SettingValue(setting.default, Origin(Layer.DEFAULT))
        raw, origin = given
        raw = setting.kind.from_text(raw) if isinstance(raw, str) else raw
        found = read_value(setting.name, setting.kind, raw, origin, self.cwd, self.problems)
        return found or SettingValue(setting.default, origin)

    def values(self, setting: Setting) -> SettingList | None:
        """Return the values that a flag or variable has for a setting that can be repeated, or None."""
        given = self.flag_or_variable(setting)
        if given is None:
            return None
        raw, origin = given
        if isinstance(raw, str) and origin.layer is Layer.ENVIRONMENT:
            raw = [part.strip() for part in raw.split(",") if part.strip()]
        return read_list(setting.flag.lstrip("-").replace("-", "_"), setting.kind, raw, origin, self.cwd, self.problems)

    def flag_or_variable(self, setting: Setting) -> tuple[object, Origin] | None:
        """Return the unchecked value of the flag, else of the variable; an empty variable counts as unset."""
        flag = self.flags.get(setting.name)
        if flag not in _NOT_GIVEN:
            spelling = setting.off_flag if flag is False and setting.off_flag else setting.flag
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


def read_list(
    called: str, kind: ValueKind, raw: object, origin: Origin, folder: Path, problems: Problems
) -> SettingList:
    """Return a value or a list of values, each read as `kind`, without those that are invalid."""
    items = list(raw) if isinstance(raw, list | tuple) else [raw]
    if not items:
        problems.add(f"{called} must name at least one", origin)
    found = [read_value(called, kind, item, origin, folder, problems) for item in items]
    return SettingList(tuple(each.value for each in found if each), origin)
