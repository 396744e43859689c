"""The compact form of the status document: without the members of its parts that are null.

Most workers of a large host have nothing to report in a dozen members: a fifth of the document is nulls. A client that
requests the document every second can do without them, and makes it complete again.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

from reactorhost.errors import ReactorhostError
from reactorhost.ipc.status import SCHEMA, StatusDocument

Part = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Shape:
    """A TypedDict: its members that may be null, and those with nulls in them: parts, and lists of parts."""

    nullable: Mapping[str, None]
    parts: Mapping[str, _Shape]


def compacted(document: StatusDocument) -> Part:
    """Return the document without its nulls."""
    return _without_nulls(cast("Part", document), _shape(StatusDocument))


def readable(document: Part) -> StatusDocument:
    """Return the document of a host, compact or not, with its nulls.

    Raises:
        ReactorhostError: the host has another version, whose document has another schema.
    """
    schema = document.get("schema")
    if schema != SCHEMA:
        what = f"the host has version {document.get('version')}, whose status has schema {schema}"
        hint = f"this version reads schema {SCHEMA}: use the program of the host's version, or upgrade the older one"
        raise ReactorhostError(what, hint=hint)
    return cast("StatusDocument", _with_nulls(document, _shape(StatusDocument)))


def _without_nulls(part: Part, shape: _Shape) -> Part:
    # Not of other mappings, such as the fields of an event: which names they have is not known to the reader.
    made = {name: value for name, value in part.items() if value is not None or name not in shape.nullable}
    for name, inner in shape.parts.items():
        value = made.get(name)
        if isinstance(value, list):
            made[name] = [_without_nulls(each, inner) for each in value]
        elif value is not None:
            made[name] = _without_nulls(value, inner)
    return made


def _with_nulls(part: Part, shape: _Shape) -> Part:
    made = {**shape.nullable, **part}
    for name, inner in shape.parts.items():
        value = made.get(name)
        if isinstance(value, list):
            made[name] = [_with_nulls(each, inner) for each in value]
        elif value is not None:
            made[name] = _with_nulls(value, inner)
    return made


@cache
def _shape(kind: Any) -> _Shape:
    nullable: dict[str, None] = {}
    parts: dict[str, _Shape] = {}
    for name, hint in typing.get_type_hints(kind).items():
        options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
        if types.NoneType in options:
            nullable[name] = None
        for option in options:
            inner = typing.get_args(option)[0] if typing.get_origin(option) is list else option
            # A part without such members is the same in both forms. A document has a hundred of them.
            if typing.is_typeddict(inner) and ((shape := _shape(inner)).nullable or shape.parts):
                parts[name] = shape
    return _Shape(nullable, parts)
