"""Find plugins by name without importing them: only the metadata of their distributions is read.

A plugin is named in one of three ways: `echo` is an entry point of a distribution in the group `reactorhost`,
`module:object` is any importable object, and a name that ends in `.py` is the path of a file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from reactorhost.api.hookspecs import PROJECT
from reactorhost.config.plugin_names import name_of, names_a_file
from reactorhost.errors import PluginError
from reactorhost.plugins import name_hints
from reactorhost.plugins.identity import PluginIdentity, normalised
from reactorhost.system.ownership import user_name

if TYPE_CHECKING:
    from importlib.metadata import Distribution

__all__ = ["check_host", "find", "installed", "name_of", "names_a_file", "split_target"]

BUS_GROUP = f"{PROJECT}.bus"
"""The group of entry points of the backends of the bus; their names are schemes of URLs."""

_DOTTED = r"[^\W\d]\w*(?:\.[^\W\d]\w*)*"
_TARGET = re.compile(rf"\s*(?P<module>{_DOTTED})\s*(?::\s*(?P<object>{_DOTTED})\s*)?(?:\[.*\]\s*)?")

_ABOUT_HOST = re.compile(rf"\s*{PROJECT}(?![A-Za-z0-9]|[-_.]+[A-Za-z0-9])", re.IGNORECASE)
_PLAIN = re.compile(rf"\s*{PROJECT}\s*(?P<versions>[<>=!~][^;@()\[\]]*)", re.IGNORECASE)

# The exceptions that damaged metadata was seen to raise; they differ between versions of Python.
_METADATA_ERRORS = (OSError, ValueError, TypeError, KeyError, AttributeError, ImportError)


def installed() -> list[PluginIdentity]:
    """Return every installed plugin, sorted by name; two with the same name are both included."""
    return sorted(_entry_points(PROJECT), key=lambda identity: (identity.name, identity.distribution or ""))


def installed_backends() -> list[PluginIdentity]:
    """Return every installed backend of the bus, sorted by scheme."""
    return sorted(_entry_points(BUS_GROUP), key=lambda identity: (identity.name, identity.distribution or ""))


def find_backend(scheme: str) -> PluginIdentity:
    """Return the backend of the bus for URLs of a scheme.

    Raises:
        PluginError: there is none, or several distributions have one.
    """
    known = installed_backends()
    claims = [identity for identity in known if identity.name == scheme]
    if not claims:
        what = f"no installed distribution provides a bus for {scheme}://"
        raise PluginError(what, hint=name_hints.for_scheme(scheme, known))
    return _only(claims, f"a bus for {scheme}://")


def find(named: str) -> PluginIdentity:
    """Return the plugin that the operator named.

    Raises:
        PluginError: there is no plugin of this name, or several distributions have one.
    """
    if names_a_file(named):
        return _of_file(named)
    if "/" in named and "://" not in named:
        raise PluginError(f"{named!r} is not a plugin", hint=name_hints.for_path(named))
    if ":" in named:
        return _of_object(named)
    known = installed()
    claims = [identity for identity in known if identity.name == named]
    if not claims:
        raise PluginError(f"no plugin named {named!r} is installed", hint=name_hints.for_name(named, known))
    return _only(claims, f"a plugin named {named!r}")


def _only(claims: Sequence[PluginIdentity], what: str) -> PluginIdentity:
    if len(claims) > 1:
        claimants = " and ".join(f"{claim.distribution} {claim.version}" for claim in claims)
        raise PluginError(f"{claimants} both have {what}", hint="uninstall one of them")
    return claims[0]


def split_target(target: str) -> tuple[str, str]:
    """Split `module:object`; the object is empty for the module itself.

    Raises:
        ValueError: the text does not have that form.
    """
    match = _TARGET.fullmatch(target)
    if match is None:
        raise ValueError(f"{target!r} does not have the form module:object")
    return match["module"], match["object"] or ""


def _of_file(named: str) -> PluginIdentity:
    path = os.path.abspath(named)
    if not _is_readable(path):
        what = f"user {user_name(os.geteuid())} cannot read the plugin file {path}"
        raise PluginError(what, hint="give this user the right to read the file, and to enter each folder of its path")
    if not os.path.isfile(path):
        raise PluginError(f"there is no plugin file {path}", hint=name_hints.for_missing_file(path))
    return PluginIdentity(name_of(named), None, None, path)


def _is_readable(path: str) -> bool:
    """Return whether this user can read a file; one that does not exist counts as readable."""
    try:
        os.stat(path)
    except OSError as error:
        return not isinstance(error, PermissionError)
    return os.access(path, os.R_OK, effective_ids=True)


def _of_object(named: str) -> PluginIdentity:
    match = _TARGET.fullmatch(named)
    if match is None or not match["object"]:
        raise PluginError(f"{named!r} is not a plugin", hint="write module:object, for example myapp.plugins:chat")
    return PluginIdentity(named, None, None, named)


def _entry_points(group: str) -> Iterator[PluginIdentity]:
    from importlib import metadata  # takes 35 ms, which --help must not cost

    seen = set()
    for distribution in metadata.distributions():
        claims = list(_entry_points_of(distribution, group))
        # As with imports, a distribution hides those of the same name in later entries of sys.path.
        name = normalised(claims[0].distribution or "") if claims else ""
        if name and name in seen:
            continue
        seen.add(name)
        yield from claims


def _entry_points_of(distribution: Distribution, group: str) -> Iterator[PluginIdentity]:
    try:
        # Most distributions have none; reading the file costs a third of parsing it.
        if group not in (distribution.read_text("entry_points.txt") or ""):
            return
        points = {(point.name, point.value) for point in distribution.entry_points if point.group == group}
    except _METADATA_ERRORS:
        return
    if not points:
        return
    name, version = _name_and_version(distribution)
    for point_name, value in sorted(points):
        yield PluginIdentity(point_name, name, version, value)


def _name_and_version(distribution: Distribution) -> tuple[str | None, str | None]:
    try:
        fields = distribution.metadata
        # Depending on the version of Python, indexing a missing key returns None, warns or raises.
        present = {key: fields[key] for key in ("Name", "Version") if key in fields}
    except _METADATA_ERRORS:
        return None, None
    return present.get("Name"), present.get("Version")


def check_host(identity: PluginIdentity, host_version: str) -> None:
    """Raise a PluginError if the plugin's distribution requires another version of the host."""
    for requirement in _requirements(identity):
        wanted = _unmet(requirement, host_version)
        if wanted is not None:
            what = f"plugin {identity} requires {PROJECT} {wanted}, but this is {host_version}"
            hint = f"install {PROJECT} {wanted}, or another version of {identity.distribution}"
            on_disk = installed_host_version()
            if on_disk != host_version and on_disk is not None and _unmet(requirement, on_disk) is None:
                hint = f"{PROJECT} {on_disk} is installed but the host still runs {host_version}: `reactorhost restart`"
            raise PluginError(what, hint=hint)


def installed_host_version() -> str | None:
    """Return the version of the host that is installed now; it differs from the running one after an upgrade."""
    from importlib import metadata

    try:
        return metadata.version(PROJECT)
    except metadata.PackageNotFoundError:
        return None


def _requirements(identity: PluginIdentity) -> list[str]:
    if identity.distribution is None:
        return []
    from importlib import metadata

    try:
        lines = metadata.requires(identity.distribution) or []
    except metadata.PackageNotFoundError:
        return []
    return [line for line in lines if _ABOUT_HOST.match(line)]


def _unmet(requirement: str, host_version: str) -> str | None:
    plain = _PLAIN.fullmatch(requirement)
    if plain is not None:
        return _outside(plain["versions"], host_version)
    # Extras, markers and URLs need the whole grammar, whose import takes 5 ms.
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        parsed = Requirement(requirement)
    except InvalidRequirement:
        return None
    if parsed.marker is not None and not parsed.marker.evaluate({"extra": ""}):
        return None
    return _outside(str(parsed.specifier), host_version)


def _outside(versions: str, host_version: str) -> str | None:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        specifier = SpecifierSet(versions)
    except InvalidSpecifier:
        return None
    return None if specifier.contains(host_version, prereleases=True) else str(specifier)
