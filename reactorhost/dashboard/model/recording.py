"""Recordings: status documents with their times, one JSON object per line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from reactorhost.errors import ReactorhostError
from reactorhost.ipc.status import SCHEMA, StatusDocument


class Recorder:
    """Writes a recording, unbuffered: a recording that is cut short is readable up to there.

    Raises:
        ReactorhostError: the file cannot be created.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._began: float | None = None
        try:
            self._file = path.open("wb", buffering=0)
        except OSError as error:
            raise ReactorhostError(f"cannot record to {path}: {error.strerror}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def write(self, document: StatusDocument) -> None:
        """Append a document.

        Raises:
            ReactorhostError: the file cannot be written.
        """
        if self._began is None:
            self._began = document["time"]
        at = round(max(0.0, document["time"] - self._began), 3)
        try:
            self._file.write(json.dumps({"at": at, "document": document}).encode() + b"\n")
        except OSError as error:
            raise ReactorhostError(f"cannot record to {self._path}: {error.strerror}") from None


def records(path: Path) -> Iterator[tuple[float, StatusDocument]]:
    """Yield the documents of a recording, each with its seconds since the start. An incomplete last line is skipped.

    Raises:
        ReactorhostError: the file cannot be read, or is not a recording.
    """
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.endswith(b"\n"):
                    yield _record(path, number, line)
    except OSError as error:
        raise ReactorhostError(f"cannot read {path}: {error.strerror}") from None


def _record(path: Path, number: int, line: bytes) -> tuple[float, StatusDocument]:
    try:
        record: dict[str, Any] = json.loads(line)
        at, document = float(record["at"]), record["document"]
        schema = document["schema"]
    except (ValueError, KeyError, TypeError):
        raise ReactorhostError(
            "this is not a recording of `reactorhost top --record`", where=f"{path}:{number}"
        ) from None
    if schema != SCHEMA:
        raise ReactorhostError(
            f"the recording has schema {schema}, this version reads schema {SCHEMA}", where=f"{path}:{number}"
        )
    return at, document
