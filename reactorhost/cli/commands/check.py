"""`reactorhost check`."""

from __future__ import annotations

from typing import Any

import click

from reactorhost.cli.documents.json_output import json_option, print_document
from reactorhost.cli.output import confirm, warn
from reactorhost.cli.parameters.options import StartCommand, examine_settings, start_options


@click.command(cls=StartCommand)
@json_option("Print one JSON object: what was checked, and the warnings.")
@start_options
def check(as_json: bool, **flags: Any) -> None:
    """Check settings, plugins, files and addresses as `start` does, without creating a file or binding an address.

    Whether another process uses an address is not checked: it may be the host that a restart replaces.

    It prints what it has checked, then ok; or all problems that it finds. With -q it prints warnings and problems only.

    Exit status: 0 no error, 1 a setting is invalid, 2 usage error, 3 the limit of open files is too low, 4 a plugin
    cannot be loaded, 7 not permitted.
    """
    from reactorhost.cli.commands.checked import checked, lines
    from reactorhost.cli.validation import validate
    from reactorhost.system.features import require_features

    require_features()
    settings, problems = examine_settings(flags)
    warnings = validate(settings, problems, starts=False)
    for warning in warnings:
        warn([warning])
    rows = list(checked(settings))
    if as_json:
        print_document(checks=[row._asdict() for row in rows], warnings=warnings)
    else:
        confirm("\n".join([*lines(rows), "ok"]))
