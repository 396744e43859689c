"""The access log: a line for every answer, in the formats that programs for access logs read.

The line is written to the host's log, to standard output, or to a file that may be rotated at any time.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from reactorhost import SetupError
from reactorhost_accesslog.line_file import LineFile


@dataclass(frozen=True, slots=True)
class Entry:
    """One answer.

    Attributes:
        client: address of the client, or None on a unix socket.
        ended_at: Unix time in seconds.
        line: the request line, or an empty text for one that is malformed.
        status: of the answer; 499 if the client has left before it, as nginx has it.
        size: bytes of the body of the answer.
        seconds: from the end of the headers to the end of the answer.
    """

    client: str | None
    ended_at: float
    line: str
    status: int
    size: int
    referer: str
    agent: str
    seconds: float


def common(entry: Entry) -> str:
    """Return the line of the Common Log Format."""
    date = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(entry.ended_at))
    size = entry.size or "-"
    return f'{_word(entry.client)} - - [{date}] "{_quoted(entry.line)}" {entry.status} {size}'


def combined(entry: Entry) -> str:
    """Return the line of the Combined Log Format: the common one, then referer and user agent."""
    return f'{common(entry)} "{_quoted(entry.referer)}" "{_quoted(entry.agent)}"'


def as_json(entry: Entry) -> str:
    """Return a JSON object."""
    fields = {
        "time": round(entry.ended_at, 3),
        "client": entry.client,
        "request": entry.line,
        "status": entry.status,
        "size": entry.size,
        "referer": entry.referer,
        "agent": entry.agent,
        "seconds": round(entry.seconds, 6),
    }
    return json.dumps(fields)


FORMATS: Mapping[str, Callable[[Entry], str]] = {"common": common, "combined": combined, "json": as_json}


class AccessLog:
    """Writes the lines of one worker to `target`: `log`, `-` or a path."""

    def __init__(self, target: str, line_format: str, log: logging.Logger) -> None:
        self._format = FORMATS[line_format]
        self._log = log
        self._file = None if target == "log" else LineFile(target)
        self._lost = 0

    def open(self) -> None:
        """Open the file.

        Raises:
            SetupError: it cannot be opened for appending.
        """
        if self._file is not None:
            try:
                self._file.open()
            except OSError as error:
                raise SetupError(f"the access log {self._file.path} cannot be opened: {error.strerror}") from error

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def write(self, entry: Entry) -> None:
        """Write the line of an answer; one that cannot be written is lost, and that is logged once."""
        line = self._format(entry)
        if self._file is None:
            self._log.info(line)
            return
        try:
            self._file.write(f"{line}\n".encode())
        except OSError as error:
            if not self._lost:
                self._log.warning("access_log_write_failed file=%s error=%r", self._file.path, str(error))
            self._lost += 1
            return
        if self._lost:
            self._log.warning("access_log_write_recovered file=%s lost=%d", self._file.path, self._lost)
            self._lost = 0


def _word(client: str | None) -> str:
    # The name of a forwarded client is what a proxy sends: a blank in it would shift the fields.
    return _quoted(client).replace(" ", "\\x20") if client else "-"


def _quoted(text: str) -> str:
    """Return a text for double quotes, with anything unusual as hexadecimal escapes; `-` for an empty one."""
    if not text:
        return "-"
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return text
    return "".join(
        each if " " <= each <= "~" and each not in '"\\' else f"\\x{byte:02X}" for each, byte in _characters(text)
    )


def _characters(text: str) -> list[tuple[str, int]]:
    return [(chr(byte), byte) for byte in text.encode("latin-1", "replace")]
