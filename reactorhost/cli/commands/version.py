"""`reactorhost version`."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator

import click

from reactorhost import __version__
from reactorhost.cli.documents.json_output import json_option, print_document
from reactorhost.cli.manual.help_pages import HostCommand
from reactorhost.cli.output import echo, is_quiet, is_verbose
from reactorhost.cli.parameters.common_options import common_options


@click.command(cls=HostCommand)
@json_option("Print one JSON object: the versions of the host, of Python, of the packages and of the plugins.")
@common_options
def version(as_json: bool) -> None:
    """Print the version, and those of Python and of the installed plugins; no plugin is imported.

    With -q only the version is printed, with -v the versions of the packages that the host uses too.
    """
    if is_quiet() and not as_json:
        echo(__version__)
        return
    from reactorhost.plugins import discovery

    plugins = [
        {"name": each.name, "distribution": each.distribution, "version": each.version}
        for each in discovery.installed()
    ]
    python = platform.python_version()
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    if as_json:
        print_document(
            version=__version__,
            python=python,
            executable=sys.executable,
            system=system,
            packages=dict(_packages()),
            plugins=plugins,
        )
        return
    echo(f"reactorhost {__version__}\nPython {python} ({sys.executable}) on {system}")
    if is_verbose():
        for name, found in _packages():
            echo(f"package {name} {found or 'is not installed'}")
    for plugin in plugins:
        echo(f"plugin {plugin['name']} {plugin['version']} ({plugin['distribution']})")


def _packages() -> Iterator[tuple[str, str | None]]:
    """Yield the packages that the host requires or can use, each with its version; None if it is not installed."""
    import importlib.metadata

    from packaging.requirements import Requirement

    try:
        required = importlib.metadata.requires("reactorhost") or ()
    except importlib.metadata.PackageNotFoundError:
        # The program runs from a folder into which it was copied.
        return
    for requirement in required:
        name = Requirement(requirement).name
        try:
            yield name, importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            yield name, None
