"""What is known of a plugin: its name before it is loaded, and its hooks after."""

from __future__ import annotations

from dataclasses import dataclass

from reactorhost.api.option import Option


@dataclass(frozen=True, slots=True)
class PluginIdentity:
    """A plugin by name, and where its code is to be found.

    `target` is the value of the entry point (`module` or `module:object`), or the absolute path of a file.
    `distribution` and `version` are None unless the plugin was installed.
    """

    name: str
    distribution: str | None
    version: str | None
    target: str

    def __str__(self) -> str:
        if self.distribution is None:
            return self.name
        return f"{self.name} ({' '.join(filter(None, (self.distribution, self.version)))})"


@dataclass(frozen=True, slots=True)
class LoadedPlugin:
    """A plugin that was imported and keeps to the contract.

    `object` is what pluggy registers, `hooks` are the names of the hooks it implements, `file` is its module's file.
    `home` is the folder or file that all its code lives in, `awaits` says whether any of its hooks is async.
    """

    identity: PluginIdentity
    object: object
    hooks: tuple[str, ...]
    file: str | None
    options: tuple[Option, ...] = ()
    home: str | None = None
    awaits: bool = False

    @property
    def name(self) -> str:
        """Return the name under which the operator knows it."""
        return self.identity.name


@dataclass(frozen=True, slots=True)
class PluginReport:
    """What trying to load a plugin showed.

    `error` holds what, where and hint when it cannot be used, and `status` the exit status that this means.
    `description` and `commands` (name and help) are there only when they were asked for.
    """

    identity: PluginIdentity
    hooks: tuple[str, ...] = ()
    options: tuple[Option, ...] = ()
    file: str | None = None
    error: tuple[str, ...] | None = None
    details: str | None = None
    status: int = 0
    description: str | None = None
    commands: tuple[tuple[str, str], ...] = ()
