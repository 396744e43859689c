"""From flags, environment and file to settings: merged, checked, and every problem told at once.

Nothing here looks at the process's own environment or directory: both are arguments, so that a daemon which reads
its configuration again finds the same files as its start did.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from reactorhost.config import file_tables, plugin_tables, plugin_texts, services
from reactorhost.config.cpus import available_cpus
from reactorhost.config.layers import Given, Layers
from reactorhost.config.places import PID_FILE, default_run_dir
from reactorhost.config.problems import Problems
from reactorhost.config.service import Service
from reactorhost.config.settings import BY_NAME, HOST_KEYS, MAX_WORKERS, Origin, Settings, Source
from reactorhost.config.toml_file import TomlFile, read
from reactorhost.errors import ConfigError, Problem, UsageError

_PREFIX = "REACTORHOST_"
_NEAR = 0.8
_PLACE = ("name", "run_dir", "pid_file")


@dataclass(frozen=True, slots=True)
class Location:
    """Where a running instance is found."""

    name: str
    run_dir: Path
    pid_file: Path


def resolve(
    flags: Mapping[str, object],
    environ: Mapping[str, str],
    cwd: Path,
    *,
    uid: int | None = None,
    installed: Iterable[str] = (),
    cpus: Callable[[], int] = available_cpus,
    needs_plugin: bool = True,
    also_named: Iterable[str] = (),
) -> Settings:
    """Return what a host is to run with.

    `flags` goes by the names of settings; None and an empty sequence are as if not given, and text is read as from
    the environment. `installed` is looked at only when no plugin is named anywhere. Plugins in `also_named` may
    have options, besides those that a service names.

    Raises:
        ConfigError: something is wrong; holds every problem found. Its exit status is 2 if a flag is to blame.
        UsageError: all is well but for a plugin, which nothing names.
    """
    layers = Layers(flags, environ, cwd, Problems())
    _tell_misspelt_variables(environ, layers.problems)
    config = layers.one(BY_NAME["config"])
    file = _read(config, layers)
    host = _place({name: layers.one(BY_NAME[name]) for name in BY_NAME if name in HOST_KEYS}, environ, uid)
    host["workers"] = _counted(host["workers"], cpus)
    idle_timeout: Any = host["idle_timeout"].value
    chosen = _choose(file, layers, idle_timeout, also_named)
    if needs_plugin and not chosen.names_plugin and (file or config.value is None):
        _tell_no_plugin(installed, layers.problems)
    if layers.problems.found:
        raise layers.problems.error()
    values: dict[str, Any] = {name: given.value for name, given in host.items()}
    return Settings(
        **values,
        services=chosen.services,
        plugin_tables=chosen.tables,
        config_file=file.path if file else None,
        origins={name: given.origin for name, given in {**host, "config_file": config}.items()} | chosen.origins,
    )


def locate(flags: Mapping[str, object], environ: Mapping[str, str], cwd: Path, *, uid: int | None = None) -> Location:
    """Return where the instance that flags, environment or file name is found; looks at nothing else.

    A file that cannot be read does not matter when a flag or a variable says which instance.

    Raises:
        ConfigError: one of these values is wrong.
    """
    layers = Layers(flags, environ, cwd, Problems())
    config = layers.one(BY_NAME["config"])
    if isinstance(config.value, Path):
        try:
            layers.add_file(read(config.value), _PLACE)
        except ConfigError:
            if not any(layers.outside(BY_NAME[name]) for name in ("name", "run_dir")):
                raise
    place = _place({name: layers.one(BY_NAME[name]) for name in _PLACE}, environ, uid)
    if layers.problems.found:
        raise layers.problems.error()
    values: dict[str, Any] = {name: given.value for name, given in place.items()}
    return Location(**values)


@dataclass(frozen=True, slots=True)
class _Chosen:
    """The services and plugin tables that count."""

    services: tuple[Service, ...]
    tables: plugin_tables.PluginTables
    origins: dict[str, Origin]
    names_plugin: bool
    """False if neither a flag, nor the environment, nor a service of the file was to name plugins."""


def _tell_misspelt_variables(environ: Mapping[str, str], problems: Problems) -> None:
    """Tell of variables that are nearly one of ours; others may be somebody else's, as those of Kubernetes are."""
    known = {setting.variable for setting in BY_NAME.values()}
    short = [variable.removeprefix(_PREFIX) for variable in known]
    for variable in sorted(environ.keys() - known):
        if variable.startswith(_PREFIX):
            import difflib

            near = difflib.get_close_matches(variable.removeprefix(_PREFIX), short, n=1, cutoff=_NEAR)
            if near:
                where = Origin(Source.ENVIRONMENT, variable)
                problems.add(f"there is no setting {variable}", where, f"did you mean '{_PREFIX}{near[0]}'?")


def _read(config: Given, layers: Layers) -> TomlFile | None:
    """Read and check the file, None without one or if it cannot be read."""
    if not isinstance(config.value, Path):
        return None
    try:
        file = read(config.value)
    except ConfigError as error:
        layers.problems.found.extend(error.problems)
        return None
    file_tables.check(file, layers.problems)
    layers.add_file(file)
    return file


def _place(given: dict[str, Given], environ: Mapping[str, str], uid: int | None) -> dict[str, Given]:
    """Return `given` with the run directory and the pid file that follow from the rest where they are not given."""
    run_dir, pid_file = given["run_dir"], given["pid_file"]
    if run_dir.value is None:
        uid = os.geteuid() if uid is None else uid
        run_dir = replace(run_dir, value=default_run_dir(str(given["name"].value), environ, uid))
    if pid_file.value is None:
        pid_file = replace(pid_file, value=Path(str(run_dir.value), PID_FILE))
    return {**given, "run_dir": run_dir, "pid_file": pid_file}


def _counted(workers: Given, cpus: Callable[[], int]) -> Given:
    if workers.value != "auto":
        return workers
    return Given(min(cpus(), MAX_WORKERS), replace(workers.origin, note="auto"))


def _choose(file: TomlFile | None, layers: Layers, idle_timeout: float | None, also_named: Iterable[str]) -> _Chosen:
    problems = layers.problems
    in_file = services.in_file(file, problems) if file else []
    given = services.outside(layers)
    drafts = services.choose(in_file, given, problems)
    # A plugin that only a service of the file names may have a table, also when flags replace that service.
    named = services.plugin_names([*in_file, *drafts]).union(also_named)
    tables = plugin_tables.in_file(file, named, problems) if file else {}
    texts = plugin_texts.given(layers, services.plugin_names(drafts).union(also_named))
    tables = plugin_tables.with_texts(tables, texts)
    origins = services.origins(drafts) | plugin_tables.origins(file, tables)
    ready = services.complete(drafts, idle_timeout, problems)
    return _Chosen(ready, tables, origins, names_plugin=bool(in_file) or "plugins" in given)


def _tell_no_plugin(installed: Iterable[str], problems: Problems) -> None:
    """Note that no plugin is named.

    Raises:
        UsageError: there is no other problem.
    """
    names = sorted(installed)
    example = names[0] if len(names) == 1 else "NAME"
    hint = f"name one: --plugin {example}" + (f" (installed: {', '.join(names)})" if names else "")
    if not problems.found:
        raise UsageError("no plugin is named, so there is nothing to serve", hint=hint)
    problems.found.append(Problem("no plugin is named, so there is nothing to serve", None, hint))
