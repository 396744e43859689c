"""`reactorhost check`."""

from __future__ import annotations

from typing import Any

import click

from reactorhost.cli.documents import json_option, print_document
from reactorhost.cli.options import examine_settings, start_options
from reactorhost.cli.output import echo


@click.command()
@json_option("Print one JSON object: the warnings.")
@start_options
def check(as_json: bool, **flags: Any) -> None:
    """Check settings, plugins, files and addresses as `start` does, without creating a file or binding an address.

    Exit status: 0 no error, 1 a setting is invalid, 2 usage error, 3 the limit of open files is too low, 4 a plugin
    cannot be loaded, 7 not permitted.
    """
    from reactorhost.cli.validation import validate
    from reactorhost.system.features import require_features

    require_features()
    settings, problems = examine_settings(flags)
    warnings = validate(settings, problems, starts=False)
    for warning in warnings:
        echo(f"reactorhost: warning: {warning}", err=True)
    if as_json:
        print_document(warnings=warnings)
    else:
        echo("ok")
