"""The layers that a setting's value is looked for in: flag, environment, file, default.

Every value of the file is checked, also one that a flag hides.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from reactorhost.config.problems import Problems
from reactorhost.config.settings import BY_NAME, HOST_KEYS, Origin, Setting, Source
from reactorhost.config.toml_file import TomlFile
from reactorhost.config.values import InvalidValueError, Kind

_NOT_GIVEN: tuple[object, ...] = (None, (), [])


@dataclass(frozen=True, slots=True)
class Given:
    """A checked value, and where it was given."""

    value: object
    origin: Origin


@dataclass(frozen=True, slots=True)
class GivenList:
    """The checked values of a setting that takes many, and where they were given."""

    values: tuple[object, ...]
    origin: Origin


@dataclass(slots=True)
class Layers:
    """What each layer gives; wrong values go to `problems` and count as not given."""

    flags: Mapping[str, object]
    environ: Mapping[str, str]
    cwd: Path
    problems: Problems
    file_values: dict[str, Given] = field(default_factory=dict)

    def add_file(self, file: TomlFile, names: Collection[str] = HOST_KEYS) -> None:
        """Check the keys `names` of a file's `[host]`, and let their values count below flags and environment."""
        host = file.data.get("host")
        if not isinstance(host, dict):
            return
        for name in (name for name in host if name in names and name in HOST_KEYS):
            origin = file.origin("host", name)
            read = checked(name, BY_NAME[name].kind, host[name], origin, file.path.parent, self.problems)
            if read is not None:
                self.file_values[name] = read

    def one(self, setting: Setting) -> Given:
        """Return the value that counts."""
        outside = self.outside(setting)
        if outside is None:
            return self.file_values.get(setting.name) or Given(setting.default, Origin(Source.DEFAULT))
        raw, origin = outside
        read = checked(setting.name, setting.kind, self._lifted(setting, raw), origin, self.cwd, self.problems)
        return read or Given(setting.default, origin)

    def many(self, setting: Setting) -> GivenList | None:
        """Return the values that flag or environment give to a setting that takes many, None if they do not."""
        outside = self.outside(setting)
        if outside is None:
            return None
        raw, origin = outside
        if isinstance(raw, str) and origin.source is Source.ENVIRONMENT:
            raw = [part.strip() for part in raw.split(",") if part.strip()]
        return checked_list(setting.flag.lstrip("-"), setting.kind, raw, origin, self.cwd, self.problems)

    def outside(self, setting: Setting) -> tuple[object, Origin] | None:
        """Return the unchecked value of flag or environment; an empty variable is as if unset."""
        flag = self.flags.get(setting.name)
        if flag not in _NOT_GIVEN:
            spelling = setting.off_flag if flag is False and setting.off_flag else setting.flag
            return flag, Origin(Source.FLAG, spelling)
        text = self.environ.get(setting.variable, "")
        return (text, Origin(Source.ENVIRONMENT, setting.variable)) if text.strip() else None

    def _lifted(self, setting: Setting, raw: object) -> object:
        return setting.kind.from_text(raw) if isinstance(raw, str) else raw


def checked(called: str, kind: Kind, raw: object, origin: Origin, folder: Path, problems: Problems) -> Given | None:
    """Return `raw` read as `kind`, with relative paths put under `folder`; None, and a problem, if it is wrong."""
    try:
        value = kind.read(raw)
    except InvalidValueError as error:
        problems.add(f"{called} {error}", origin, error.hint)
        return None
    return Given(folder / value if isinstance(value, Path) else value, origin)


def checked_list(called: str, kind: Kind, raw: object, origin: Origin, folder: Path, problems: Problems) -> GivenList:
    """Return one value or a list of them, each read as `kind`; without those that are wrong."""
    items = list(raw) if isinstance(raw, list | tuple) else [raw]
    if not items:
        problems.add(f"{called} must name at least one", origin)
    found = [checked(called, kind, item, origin, folder, problems) for item in items]
    return GivenList(tuple(given.value for given in found if given), origin)
