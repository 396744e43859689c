"""What an operator may have meant by the name of a plugin that does not exist.

Each hint is checked against what is there, so that the next try gets further.
"""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress

from reactorhost.api.hookspecs import PROJECT
from reactorhost.errors import did_you_mean, joined_hints, most_similar
from reactorhost.plugins.identity import PluginIdentity, normalised
from reactorhost.system.ownership import user_name

_DOTTED = re.compile(r"(?P<module>[^\W\d]\w*(?:\.[^\W\d]\w*)*)\.(?P<object>[^\W\d]\w*)")

_NOT_IN_MODULE_NAMES = re.compile(r"\W|^(?=\d)")

_REDIS_SCHEMES = ("redis", "rediss", "redis+unix")
"""Those of reactorhost-redis."""


def searches_cwd() -> bool:
    """Return whether the working directory is searched for the module of `module:object`."""
    # Not by `sys.flags.safe_path`: a restart runs with -P, which the operator did not write.
    return not os.environ.get("PYTHONSAFEPATH")


def for_name(named: str, known: Sequence[PluginIdentity]) -> str:
    """Return hints for a word that is not the name of one of the `known` plugins."""
    return joined_hints(*_for_name(named, known))


def for_scheme(scheme: str, known: Sequence[PluginIdentity]) -> str:
    """Return hints for the scheme of a bus that is not one of the `known` ones."""
    if scheme in _REDIS_SCHEMES:
        return _install_packaged("redis")
    names = sorted({identity.name for identity in known})
    near = did_you_mean(scheme, [*names, *_REDIS_SCHEMES])
    there = f"installed: {', '.join(f'{name}://' for name in names)}" if names else "no bus is installed"
    return there if near is None else joined_hints(near, there)


def is_packaged(distribution: str) -> bool:
    """Return whether a distribution is one of those that are developed together with the host."""
    from importlib import metadata

    from packaging.requirements import Requirement

    # The extras name them.
    with suppress(metadata.PackageNotFoundError):
        required = (Requirement(line).name for line in metadata.requires(PROJECT) or ())
        return normalised(distribution) in map(normalised, required)
    return False


def for_path(named: str) -> str:
    """Return a hint for a text with a slash that does not end in `.py`."""
    path, separator, attribute = named.partition(".py:")
    if separator and os.path.isfile(f"{path}.py"):
        return _object_in(f"{path}.py", attribute)
    if os.path.isfile(f"{named}.py"):
        return f"did you mean '{named}.py'?"
    return "to name a file, use a path that ends in .py"


def for_missing_file(path: str) -> str:
    """Return a hint for the path of a file that does not exist."""
    folder, name = os.path.split(path)
    try:
        files = [each for each in os.listdir(folder) if each.endswith(".py")]
    except OSError:
        return f"there is no folder {folder}"
    similar = most_similar(name, files)
    return "check the path of the file" if similar is None else f"did you mean {os.path.join(folder, similar)!r}?"


def for_object_in(target: str, attribute: str) -> str:
    """Return a hint for a module or file, the target of a plugin, of which only an attribute is a plugin."""
    if target.endswith(".py"):
        return _object_in(target, attribute)
    return f'the object has the hooks: in the entry point, write "{target}:{attribute}"'


def for_function(target: str, file: str | None, known: Sequence[PluginIdentity]) -> str:
    """Return a hint for a `module:function`, or a `module:object.method`, that is named as the plugin."""
    module, _, attributes = target.partition(":")
    holder, _, _ = attributes.rpartition(".")
    if holder:
        return f"name the object that has the function: {module}:{holder}"
    names = [identity.name for identity in known if identity.target == module]
    return f"name the module that has the function: {names[0] if names else file or module}"


def for_missing_module(identity: PluginIdentity, missing: str) -> str:
    """Return a hint for a module that the import of a plugin did not find."""
    if (closed := _closed_folder()) is not None:
        user = f"user {user_name(os.geteuid())} cannot read {closed}, which is searched for modules"
        return f"{user}: give this user the right to read it, and to enter each folder of its path"
    target = identity.target.partition(":")[0].strip()
    if not f"{target}.".startswith(f"{missing}."):
        return f"install {missing.partition('.')[0]!r}, or put its folder on PYTHONPATH"
    if identity.distribution is not None:
        return f"its entry point names a module that it lacks: reinstall {identity.distribution}, or correct it"
    top = missing.partition(".")[0]
    if searches_cwd():
        near = did_you_mean(missing, (each.removesuffix(".py") for each in os.listdir()))
        start = f"start in the folder that contains {top!r}, or put that folder on PYTHONPATH"
        return start if near is None else joined_hints(near, f"else {start}")
    return f"put the folder that contains {top!r} on PYTHONPATH"


def _for_name(named: str, known: Sequence[PluginIdentity]) -> Iterator[str]:
    names = sorted({identity.name for identity in known})
    called = {normalised(named), normalised(f"{PROJECT}-{named}")}
    aliases = [identity.name for identity in known if called & _aliases(identity)]
    without_plugin = None if aliases else _without_plugin(named, known)
    dotted = _DOTTED.fullmatch(named)
    short = normalised(named).removeprefix(f"{PROJECT}-")
    if os.path.isfile(f"{named}.py"):
        yield f"to serve the file, write ./{named}.py"
    if (package := _package_of(named)) is not None:
        install = f"pip install -e ./{package}" if package else "pip install -e ."
        yield f"its package is not installed: {install}"
    elif aliases:
        yield f"did you mean {aliases[0]!r}?"
    elif without_plugin is not None:
        yield without_plugin
    elif dotted is not None and _is_importable(dotted["module"].partition(".")[0]):
        yield f"did you mean '{dotted['module']}:{dotted['object']}'?"
    elif is_packaged(f"{PROJECT}-{short}"):
        yield _install_packaged(short)
    elif near := did_you_mean(named, names):
        yield near
    yield f"installed: {', '.join(names)}" if names else "no plugin is installed"


def _aliases(identity: PluginIdentity) -> set[str]:
    """Return what a plugin may be called by mistake: its distribution, and its module."""
    return {normalised(identity.distribution or ""), normalised(identity.target.partition(":")[0])}


def _package_of(named: str) -> str | None:
    """Return the folder whose pyproject.toml has this plugin, if it is the working directory or one in it."""
    import tomllib

    for folder in ("", f"{PROJECT}-{named}"):
        path = os.path.join(folder, "pyproject.toml")
        with suppress(OSError, ValueError, LookupError, TypeError), open(path, "rb") as file:
            if named in tomllib.load(file)["project"]["entry-points"][PROJECT]:
                return folder
    return None


def _install_packaged(name: str) -> str:
    # By its path: this project does not own the name on the package index.
    return f"in a clone of reactorhost: pip install ./plugins/{PROJECT}-{name}"


def _without_plugin(named: str, known: Sequence[PluginIdentity]) -> str | None:
    """Return a hint for a distribution that is called like this plugin, but has none."""
    from importlib import metadata

    with_plugin = {normalised(identity.distribution or "") for identity in known}
    for name in (f"{PROJECT}-{named}", named):
        with suppress(metadata.PackageNotFoundError, ValueError):
            found = metadata.distribution(name)
            if normalised(name) in with_plugin:
                continue
            if buses := found.entry_points.select(group=f"{PROJECT}.bus"):
                scheme = min(buses.names, key=len)
                return f"{found.name} {found.version} is a bus, not a plugin: use --bus-url {scheme}://…"
            table = f"[project.entry-points.{PROJECT}]"
            return (
                f"{found.name} {found.version} has no plugin: add {table} to its pyproject.toml, and install it again"
            )
    return None


def _is_importable(top: str) -> bool:
    is_here = searches_cwd() and (os.path.isfile(f"{top}.py") or os.path.isdir(top))
    return is_here or importlib.util.find_spec(top) is not None


def _closed_folder() -> str | None:
    """Return the first folder of `sys.path` that exists and that this user cannot read.

    The import system passes over it in silence: with `user`, modules of the standard library may be missing.
    """
    # Not zip files: the one of the standard library need not exist, which a closed folder above it conceals.
    for folder in (each for each in sys.path if each and not each.endswith(".zip")):
        try:
            os.stat(folder)
        except OSError as error:
            if isinstance(error, PermissionError):
                return folder
        else:
            if not os.access(folder, os.R_OK | os.X_OK, effective_ids=True):
                return folder
    return None


def _object_in(path: str, attribute: str) -> str:
    folder, name = os.path.split(os.path.abspath(path))
    stem = name.removesuffix(".py")
    module = _NOT_IN_MODULE_NAMES.sub("_", stem)
    rename = "" if module == stem else f"rename the file to {module}.py and "
    hint = f"{rename}write {module}:{attribute}"
    return hint if folder == os.getcwd() and searches_cwd() else f"{hint}, with {folder} on PYTHONPATH"
