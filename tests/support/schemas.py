"""Checks that what a command printed with `--json` has the shape that its schema describes, and nothing else."""

from __future__ import annotations

import json
from functools import cache

from jsonschema import Draft202012Validator

from reactorhost.cli.documents.results import RESULTS, FailureResult, LogEvent
from reactorhost.cli.documents.schema import schema_of


@cache
def validator(command: str) -> Draft202012Validator:
    kinds = (*RESULTS[command], FailureResult)
    # The fields of an event are members of its line.
    return Draft202012Validator(schema_of(kinds, command, closed=LogEvent not in kinds))


def check_printed(printed: str, *words: str) -> None:
    """Check what a command, called with these words, has printed.

    Raises:
        ValidationError: it is something else than its schema says.
    """
    command = next((name for name in RESULTS if list(words[: len(name.split())]) == name.split()), None)
    if command is None or "--json" not in words:
        return
    is_stream = command == "logs" or (command == "top" and "--once" not in words)
    for text in printed.splitlines() if is_stream else filter(None, [printed]):
        validator(command).validate(json.loads(text))
