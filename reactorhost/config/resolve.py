"""Resolve flags, environment and file to checked settings, or report all problems in one error.

Environment and working directory are arguments and not those of the process: a daemon has changed its directory, and
must find the same files when it reads its configuration again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from reactorhost.config import plugin_tables, services, toml_file
from reactorhost.config.cpus import available_cpus
from reactorhost.config.default_paths import LOCATION_VARIABLES, PID_FILE, default_run_dir
from reactorhost.config.development import for_development
from reactorhost.config.layers import Layers, SettingValue
from reactorhost.config.problems import Problems
from reactorhost.config.services import Draft
from reactorhost.config.settings import BY_NAME, HOST_TABLES, MAX_WORKERS, Layer, Origin, Settings
from reactorhost.config.toml_file import TomlFile, read
from reactorhost.config.worker_count import WorkerRange
from reactorhost.errors import ConfigError, Problem, UsageError

_PREFIX = "REACTORHOST_"
_SIMILARITY = 0.8
_LOCATION_KEYS = ("name", "run_dir")


@dataclass(frozen=True, slots=True)
class Location:
    """The name and run directory of an instance, running or not; `by_name` if the directory follows from the name."""

    name: str
    run_dir: Path
    by_name: bool


def is_setting(variable: str) -> bool:
    """Return whether an environment variable can change the settings."""
    return variable.startswith(_PREFIX) or variable in LOCATION_VARIABLES


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
    """Return the settings of a host, as `examine` reads them.

    Raises:
        ConfigError: there are problems; contains all of them. Its exit status is 2 if one is in a flag.
        UsageError: the only problem is that no plugin is named.
    """
    settings, problems = examine(
        flags,
        environ,
        cwd,
        uid=uid,
        installed=installed,
        cpus=cpus,
        needs_plugin=needs_plugin,
        also_named=also_named,
    )
    if problems.found:
        raise problems.error()
    return settings


def examine(
    flags: Mapping[str, object],
    environ: Mapping[str, str],
    cwd: Path,
    *,
    uid: int | None = None,
    installed: Iterable[str] = (),
    cpus: Callable[[], int] = available_cpus,
    needs_plugin: bool = True,
    also_named: Iterable[str] = (),
) -> tuple[Settings, Problems]:
    """Return the settings of a host and their problems; an invalid value counts as not given.

    `flags` maps names of settings to values; None and an empty sequence count as not given, and text is read as in
    the environment. `installed` is iterated only if no plugin is named anywhere. `also_named` are plugins that may
    have options although no service uses them.

    Raises:
        UsageError: the only problem is that no plugin is named.
    """
    layers = Layers(flags, environ, cwd, Problems())
    _report_misspelled_variables(environ, layers.problems)
    config = layers.value(BY_NAME["config"])
    file = _read(config, layers)
    host = {name: layers.value(setting) for name, setting in BY_NAME.items() if setting.table in HOST_TABLES}
    host = for_development(_with_default_paths(host, environ, uid))
    workers, workers_range = host["workers"], None
    if isinstance(workers.value, WorkerRange):
        workers_range = workers.value
        host["workers"] = replace(workers, value=workers_range.least)
    elif workers.value == "auto":
        host["workers"] = SettingValue(min(cpus(), MAX_WORKERS), replace(workers.origin, note="auto"))
    # Before flags and environment are merged in: also a service that they replace is checked.
    file_drafts = services.from_file(file, layers.problems) if file else []
    given = services.from_flags(layers)
    drafts = services.merge(file_drafts, given, layers.problems)
    tables = _plugin_tables(file, layers, file_drafts, drafts, also_named)
    complete = services.complete(drafts, host, layers.problems)
    # A file that cannot be read may name plugins.
    if needs_plugin and not file_drafts and "plugins" not in given and (file or config.value is None):
        _report_no_plugin(installed, layers.problems)
    origins = {name: each.origin for name, each in {**host, "config_file": config}.items()}
    settings = Settings(
        **{name: each.value for name, each in host.items()},
        workers_range=workers_range,
        services=complete,
        plugin_tables=tables,
        config_file=file.path if file else None,
        origins=origins | services.origins(drafts) | plugin_tables.origins(file, tables),
    )
    return settings, layers.problems


def locate(flags: Mapping[str, object], environ: Mapping[str, str], cwd: Path, *, uid: int | None = None) -> Location:
    """Return the location of the instance that flags, environment or file name; read no other setting.

    A file that cannot be read is ignored if a flag or a variable names the instance.

    Raises:
        ConfigError: one of these values is invalid.
    """
    layers = Layers(flags, environ, cwd, Problems())
    config = layers.value(BY_NAME["config"])
    if isinstance(config.value, Path):
        try:
            layers.add_file(read(config.value), _LOCATION_KEYS)
        except ConfigError:
            if not any(layers.flag_or_variable(BY_NAME[name]) for name in ("name", "run_dir")):
                raise
    name, run_dir = (layers.value(BY_NAME[key]) for key in _LOCATION_KEYS)
    if layers.problems.found:
        raise layers.problems.error()
    return Location(name.value, _run_dir(name, run_dir, environ, uid), by_name=run_dir.value is None)


def _report_misspelled_variables(environ: Mapping[str, str], problems: Problems) -> None:
    """Report variables whose name is similar to one of ours.

    Others with the prefix are not errors: Kubernetes, for example, sets REACTORHOST_PORT for a service of that name.
    """
    known = {setting.variable for setting in BY_NAME.values()}
    short = [variable.removeprefix(_PREFIX) for variable in known]
    for variable in sorted(environ.keys() - known):
        if variable.startswith(_PREFIX):
            import difflib

            # Stricter than `did_you_mean`: a wrong guess would refuse to start a host for a variable of another
            # program.
            near = difflib.get_close_matches(variable.removeprefix(_PREFIX), short, n=1, cutoff=_SIMILARITY)
            if near:
                where = Origin(Layer.ENVIRONMENT, variable)
                problems.add(f"there is no setting {variable}", where, f"did you mean '{_PREFIX}{near[0]}'?")


def _read(config: SettingValue, layers: Layers) -> TomlFile | None:
    """Read and check the file; return None if there is none or it cannot be read."""
    if not isinstance(config.value, Path):
        return None
    try:
        file = read(config.value)
    except ConfigError as error:
        layers.problems.include(error)
        return None
    toml_file.check(file, layers.problems)
    layers.add_file(file)
    return file


def _with_default_paths(
    given: dict[str, SettingValue], environ: Mapping[str, str], uid: int | None
) -> dict[str, SettingValue]:
    """Return `given` with default run directory and pid file if these are not set.

    Links are resolved: these files stay where the host made them, even if a link to their directory is moved.
    """
    run_dir = _run_dir(given["name"], given["run_dir"], environ, uid)
    pid_file = given["pid_file"].value or Path(run_dir, PID_FILE)
    pid_file = Path(os.path.realpath(pid_file.parent), pid_file.name)
    paths = {"run_dir": run_dir, "pid_file": pid_file}
    return {**given, **{name: replace(given[name], value=path) for name, path in paths.items()}}


def _run_dir(name: SettingValue, given: SettingValue, environ: Mapping[str, str], uid: int | None) -> Path:
    if given.value is not None:
        return Path(os.path.realpath(given.value))
    return default_run_dir(name.value, environ, os.geteuid() if uid is None else uid)


def _plugin_tables(
    file: TomlFile | None, layers: Layers, file_drafts: list[Draft], drafts: list[Draft], also_named: Iterable[str]
) -> plugin_tables.PluginTables:
    """Return the plugins' tables of all layers; `drafts` are the services that the host runs."""
    # A plugin that a service of the file names may have a table even if flags replace that service.
    named = services.plugin_names([*file_drafts, *drafts]).union(also_named)
    tables = plugin_tables.from_file(file, named, layers.problems) if file else {}
    texts = plugin_tables.from_texts(layers, services.plugin_names(drafts).union(also_named))
    return plugin_tables.with_texts(tables, texts)


def _report_no_plugin(installed: Iterable[str], problems: Problems) -> None:
    """Report that no plugin is named.

    Raises:
        UsageError: there is no other problem.
    """
    names = sorted(installed)
    hint = "add the path of a file: ./FILE.py"
    if names:
        hint = f"add its name: {names[0]}" if len(names) == 1 else f"add its name (installed: {', '.join(names)})"
    if not problems.found:
        raise UsageError("no plugin is named, so there is nothing to serve", hint=hint)
    problems.found.append(Problem("no plugin is named, so there is nothing to serve", None, hint))
