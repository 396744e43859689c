"""Find plugins by their names, from metadata alone: no plugin is imported here.

A plugin is named in one of three ways: `echo` is an entry point that a distribution declares in the group
`reactorhost`, `module:object` is anything that can be imported, and what ends in `.py` is the path of a file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from reactorhost.api.hookspecs import PROJECT
from reactorhost.errors import PluginError, did_you_mean
from reactorhost.plugins.identity import PluginIdentity

if TYPE_CHECKING:
    from importlib.metadata import Distribution

_DOTTED = r"[^\W\d]\w*(?:\.[^\W\d]\w*)*"
_TARGET = re.compile(rf"\s*(?P<module>{_DOTTED})\s*(?::\s*(?P<object>{_DOTTED})\s*)?(?:\[.*\]\s*)?")

# What reading the files of a damaged distribution was seen to raise; it differs between Python versions.
_DAMAGED = (OSError, ValueError, TypeError, KeyError, AttributeError, ImportError)


def installed() -> list[PluginIdentity]:
    """Return every installed plugin, by name; two of one name are both there."""
    return sorted(_claims(), key=lambda identity: (identity.name, identity.distribution or ""))


def find(named: str) -> PluginIdentity:
    """Return the plugin that the operator named.

    Raises:
        PluginError: nothing has this name, or several distributions claim it.
    """
    if names_a_file(named):
        return _of_file(named)
    if "/" in named and "://" not in named:
        raise PluginError(f"{named!r} is no plugin", hint="a plugin in a file is named by a path that ends in .py")
    if ":" in named:
        return _of_object(named)
    known = installed()
    claims = [identity for identity in known if identity.name == named]
    if not claims:
        raise PluginError(f"no plugin named {named!r} is installed", hint=_suggestion(named, known))
    if len(claims) > 1:
        claimants = " and ".join(f"{claim.distribution} {claim.version}" for claim in claims)
        raise PluginError(f"{claimants} both claim the plugin name {named!r}", hint="uninstall one of them")
    return claims[0]


def name_of(named: str) -> str:
    """Return the name that a plugin has in `[plugin.NAME]` and in the log: the stem of a file, else as it was named."""
    return os.path.basename(named).removesuffix(".py") if names_a_file(named) else named


def names_a_file(named: str) -> bool:
    """Tell whether a plugin is named by the path of a file."""
    return named.endswith(".py") and ("/" in named or ":" not in named)


def split_target(target: str) -> tuple[str, str]:
    """Return module and object (empty for the module itself) of `module:object`.

    Raises:
        ValueError: it is not of that form.
    """
    match = _TARGET.fullmatch(target)
    if match is None:
        raise ValueError(f"{target!r} is not of the form module:object")
    return match["module"], match["object"] or ""


def _of_file(named: str) -> PluginIdentity:
    path = os.path.abspath(named)
    if not os.path.isfile(path):
        raise PluginError(f"there is no plugin file {path}", hint="a name that ends in .py is a path")
    return PluginIdentity(name_of(named), None, None, path)


def _of_object(named: str) -> PluginIdentity:
    try:
        _, name = split_target(named)
    except ValueError:
        name = ""
    if not name:
        raise PluginError(f"{named!r} does not name a plugin", hint="write module:object, as in myapp.plugins:chat")
    return PluginIdentity(named, None, None, named)


def _suggestion(named: str, known: list[PluginIdentity]) -> str:
    names = sorted({identity.name for identity in known})
    install = f"pip install {PROJECT}-{named}" if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", named) else None
    near = did_you_mean(named, names)
    listed = f"installed: {', '.join(names)}" if names else None
    return "; ".join(filter(None, (near, listed, install if near is None else None))) or "no plugin is installed"


def _claims() -> Iterator[PluginIdentity]:
    from importlib import metadata  # 35 ms, which --help does not pay

    seen = set()
    for distribution in metadata.distributions():
        claims = list(_claims_of(distribution))
        # An earlier entry of sys.path hides a distribution of the same name in a later one, as it does for imports.
        name = re.sub(r"[-_.]+", "-", claims[0].distribution or "").lower() if claims else ""
        if name and name in seen:
            continue
        seen.add(name)
        yield from claims


def _claims_of(distribution: Distribution) -> Iterator[PluginIdentity]:
    try:
        # Most have nothing for us, and to read a text costs a third of taking it apart.
        if PROJECT not in (distribution.read_text("entry_points.txt") or ""):
            return
        points = {(point.name, point.value) for point in distribution.entry_points if point.group == PROJECT}
    except _DAMAGED:
        return
    if not points:
        return
    name, version = _name_and_version(distribution)
    for point_name, value in sorted(points):
        yield PluginIdentity(point_name, name, version, value)


def _name_and_version(distribution: Distribution) -> tuple[str | None, str | None]:
    try:
        fields = distribution.metadata
        # By the version of Python, a key that is missing gives None, a warning or an error.
        present = {key: fields[key] for key in ("Name", "Version") if key in fields}
    except _DAMAGED:
        return None, None
    return present.get("Name"), present.get("Version")
