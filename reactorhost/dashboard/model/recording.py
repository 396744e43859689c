"""Recordings: status documents with their times, one JSON object per line."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from reactorhost.errors import ReactorhostError
from reactorhost.ipc.compact_status import readable
from reactorhost.ipc.status import SCHEMA, StatusDocument

_EVENTS = 50

Record = Callable[[StatusDocument], object]


@contextlib.contextmanager
def recorder(path: Path | None) -> Iterator[Record]:
    """Return a function that appends a document to a recording; without a path it does nothing.

    Raises:
        ReactorhostError: the file cannot be created; from the function: it cannot be written.
    """
    if path is None:
        yield lambda document: None
        return
    began: float | None = None

    def write(document: StatusDocument) -> None:
        nonlocal began
        began = document["time"] if began is None else began
        # Never negative: the clock of the host may have been set back.
        at = round(max(0.0, document["time"] - began), 3)
        # Every record is a whole document, so that a recording can be cut anywhere; older events are in earlier ones.
        whole = {**document, "events": document["events"][-_EVENTS:]}
        try:
            file.write(json.dumps({"at": at, "document": whole}).encode() + b"\n")
        except OSError as error:
            raise ReactorhostError(f"cannot record to {path}: {error.strerror}") from None

    try:
        # Unbuffered: a recording that is cut short is readable up to there.
        file = path.open("wb", buffering=0)
    except OSError as error:
        raise ReactorhostError(f"cannot record to {path}: {error.strerror}") from None
    with file:
        yield write


def records(path: Path) -> Iterator[tuple[float, StatusDocument]]:
    """Yield the documents of a recording, each with its seconds since the start. An incomplete last line is skipped.

    Raises:
        ReactorhostError: the file cannot be read, or is not a recording.
    """
    try:
        with path.open("rb") as file:
            # Read while it is played, since a recording may be larger than the memory.
            for number, line in enumerate(file, 1):
                if line.endswith(b"\n"):
                    yield _record(path, number, line)
    except OSError as error:
        raise ReactorhostError(f"cannot read {path}: {error.strerror}") from None


def _record(path: Path, number: int, line: bytes) -> tuple[float, StatusDocument]:
    where = f"{path}:{number}"
    try:
        record: dict[str, Any] = json.loads(line)
        at, document = float(record["at"]), record["document"]
        schema = document["schema"]
    except (ValueError, KeyError, TypeError):
        raise ReactorhostError("this is not a recording of `reactorhost top --record`", where=where) from None
    if schema != SCHEMA:
        raise ReactorhostError(f"the recording has schema {schema}, this version reads schema {SCHEMA}", where=where)
    # With the members that the schema has got since it was made.
    return at, readable(document)
