"""Check that this version of the host is one that a plugin's distribution requires."""

from __future__ import annotations

import re

from reactorhost.api.hookspecs import PROJECT
from reactorhost.errors import PluginError
from reactorhost.plugins.identity import PluginIdentity

_ABOUT_HOST = re.compile(rf"\s*{PROJECT}(?![A-Za-z0-9]|[-_.]+[A-Za-z0-9])", re.IGNORECASE)
_PLAIN = re.compile(rf"\s*{PROJECT}\s*(?P<versions>[<>=!~][^;@()\[\]]*)", re.IGNORECASE)


def check_host(identity: PluginIdentity, host_version: str) -> None:
    """Raise a PluginError if the plugin's distribution requires another version of the host."""
    for requirement in _requirements(identity):
        wanted = _unmet(requirement, host_version)
        if wanted is not None:
            what = f"plugin {identity} requires {PROJECT} {wanted}, but this is {host_version}"
            hint = f"pip install '{PROJECT}{wanted}', or install another version of {identity.distribution}"
            raise PluginError(what, hint=hint)


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
