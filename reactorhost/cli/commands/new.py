"""`reactorhost new`."""

from __future__ import annotations

import importlib.util
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from reactorhost import __version__
from reactorhost.cli.command_table import COMMANDS
from reactorhost.cli.documents.json_output import json_option, print_document
from reactorhost.cli.manual.help_pages import HostCommand
from reactorhost.cli.output import confirm
from reactorhost.cli.parameters.common_options import common_options
from reactorhost.cli.parameters.completers import complete_directories
from reactorhost.cli.parameters.options import working_directory
from reactorhost.errors import UsageError
from reactorhost.plugins.identity import normalised
from reactorhost.scaffold import folder, rendering, variants
from reactorhost.scaffold.names import PackageName, package_name


@click.command(cls=HostCommand)
@click.argument("name")
@click.option(
    "--framing",
    type=click.Choice(variants.FRAMINGS),
    help="Split what clients send into messages.  [default: bytes as they arrive]",
)
@click.option("--async", "is_async", is_flag=True, help="Handle messages in an async hook.")
@click.option("--protocol", is_flag=True, help="Serve clients with an asyncio.Protocol.")
@click.option("--websocket", is_flag=True, help="Talk to browsers; requires reactorhost-websocket.")
@click.option(
    "--dir",
    "parent",
    metavar="PATH",
    default=".",
    shell_complete=complete_directories,
    help="Folder in which that of the package is made.  [default: the working directory]",
)
@json_option("Print one JSON object: the names, the files, and the commands that come next.")
@common_options
def new(
    name: str, framing: str | None, is_async: bool, protocol: bool, websocket: bool, parent: str, as_json: bool
) -> None:
    """Make the package of a new plugin: a handler that works, its tests, and all that pip needs.

    The folder is called reactorhost-NAME. Nothing is overwritten.
    """
    variant = variants.chosen(framing, is_async=is_async, protocol=protocol, websocket=websocket)
    names = package_name(name, COMMANDS)
    _check_free(names)
    within = Path(parent).expanduser()
    if not within.is_absolute():
        working_directory()  # reports one that was deleted
    path = within / names.distribution
    files = rendering.files(names, variant, __version__)
    folder.write(path, files)
    commands = list(_next_commands(path, rendering.start_command(names, variant), rendering.talk_command(variant)))
    if as_json:
        print_document(
            name=names.plugin,
            distribution=names.distribution,
            module=names.module,
            folder=str(path.absolute()),
            files=sorted(files),
            commands=commands,
        )
        return
    confirm("\n".join([f"made {path}", *(f"  {file}" for file in sorted(files))]))
    *here, talk = (f"  {command}" for command in commands)
    confirm("\n".join(["next:", *here, f"then, in {rendering.talk_terminal(variant)}:", talk]))


def _check_free(names: PackageName) -> None:
    """Check that no other package has these names.

    Raises:
        UsageError: one has.
    """
    from reactorhost.plugins import discovery, name_hints

    for identity in discovery.installed():
        if normalised(identity.name) == names.plugin:
            raise UsageError(f"plugin {identity} is installed already", hint="choose another name, or uninstall it")
    # A broken installation of a plugin, or a bus: these have no entry point of the name.
    if importlib.util.find_spec(names.module) is not None:
        what = f"there is a module {names.module} already"
        raise UsageError(what, hint=f"choose another name, or uninstall {names.distribution}")
    # pip would mistake this package for theirs.
    if name_hints.is_packaged(names.distribution):
        what = f"{names.distribution} is one of the plugins of reactorhost itself"
        raise UsageError(what, hint="choose another name, or install that one")


def _next_commands(path: Path, start: str, talk: str) -> Iterator[str]:
    """Yield the commands that install, test, serve and use the plugin; they find this environment, activated or not."""
    scripts = Path(sys.prefix, "bin")
    found = shutil.which("reactorhost")
    is_found = sys.prefix == sys.base_prefix or (found is not None and Path(found).parent == scripts)
    place = "" if is_found else f"{shlex.quote(str(scripts))}/"
    yield f"cd {shlex.quote(str(path))}"
    if importlib.util.find_spec("pip") is not None:
        yield f"{place}pip install -e '.[test]'"
    else:
        # An environment of uv.
        python = "" if is_found else f" --python {place}python"
        yield f"uv pip install{python} -e '.[test]'"
    yield f"{place}pytest"
    yield f"{place}{start}"
    # The program comes with reactorhost-websocket; the other commands run one of the system.
    yield f"{place}{talk}" if talk.startswith("websockets ") else talk
