"""What a route of the HTTP endpoint receives and returns.

A route runs in the master, between two turns of its loop: it must not block, and milliseconds are long.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

PLAIN_TEXT = "text/plain; charset=utf-8"
JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Request:
    """A GET request, or a HEAD request, whose response is sent without its body.

    Attributes:
        path: the path, as the client wrote it.
        query: the values of each parameter, in their order; an empty one for a parameter without a value.
        headers: by name in lower case; the values of a header that was sent several times are joined by commas.
    """

    path: str
    query: Mapping[str, list[str]] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Response:
    """A response; `headers` are those beside the type and the length of the body."""

    status: int
    body: bytes
    content_type: str = PLAIN_TEXT
    headers: Mapping[str, str] = field(default_factory=dict)


Route = Callable[[Request], Response]
"""Returns the response to a request for one path.

Raises:
    ReactorhostError: it is not possible now; the client gets the text with the status 500.
    OSError: the same.
"""


def text_response(status: int, text: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return a response of one or several lines of text."""
    return Response(status, f"{text}\n".encode(), PLAIN_TEXT, headers or {})


def json_response(status: int, value: object) -> Response:
    """Return a response with a JSON document."""
    # `default`: fields of events may be paths.
    return Response(status, json.dumps(value, default=str).encode() + b"\n", JSON)
