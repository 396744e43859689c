"""The compact form of the status document: without the members of its parts that are null, empty, false or 0.

Most workers of a large host have nothing to report in many members: a third of the document says so. A client that
requests the document every second can do without them, and makes it complete again.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

from reactorhost.errors import ReactorhostError
from reactorhost.ipc.status import SCHEMA, StatusDocument

Part = dict[str, Any]

_EMPTY: Mapping[Any, Any] = {bool: False, int: 0, float: 0.0, list: []}


@dataclass(frozen=True, slots=True)
class _Shape:
    """A TypedDict: what its members are that are left out, and the members that are parts or lists of parts."""

    absent: Mapping[str, Any]
    lists: Collection[str]
    parts: Mapping[str, _Shape]


def compacted(document: StatusDocument) -> Part:
    """Return the document without what a reader can add."""
    return _without(cast("Part", document), _shape(StatusDocument))


def readable(document: Part) -> StatusDocument:
    """Return the document of a host, compact or not, with all members.

    Raises:
        ReactorhostError: the host has another version, whose document has another schema.
    """
    schema = document.get("schema")
    if schema != SCHEMA:
        what = f"the host has version {document.get('version')}, whose status has schema {schema}"
        hint = f"this version reads schema {SCHEMA}: use the program of the host's version, or upgrade the older one"
        raise ReactorhostError(what, hint=hint)
    return cast("StatusDocument", _completed(document, _shape(StatusDocument)))


def _without(part: Part, shape: _Shape) -> Part:
    # Not of other mappings, such as the fields of an event: which names they have is not known to the reader.
    absent = shape.absent
    made = {name: value for name, value in part.items() if value or name not in absent or value != absent[name]}
    for name, inner in shape.parts.items():
        value = made.get(name)
        if isinstance(value, list):
            made[name] = [_without(each, inner) for each in value]
        elif value is not None:
            made[name] = _without(value, inner)
    return made


def _completed(part: Part, shape: _Shape) -> Part:
    made = {**shape.absent, **part}
    for name in shape.lists:
        # A new one: what adds to the list of one part must not add to that of another.
        made[name] = made[name] or []
    for name, inner in shape.parts.items():
        value = made.get(name)
        if isinstance(value, list):
            made[name] = [_completed(each, inner) for each in value]
        elif value is not None:
            made[name] = _completed(value, inner)
    return made


@cache
def _shape(kind: Any) -> _Shape:
    absent: dict[str, Any] = {}
    parts: dict[str, _Shape] = {}
    for name, hint in typing.get_type_hints(kind).items():
        options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
        kind_of_value = typing.get_origin(hint) or hint
        if types.NoneType in options:
            absent[name] = None
        elif kind_of_value in _EMPTY:
            absent[name] = _EMPTY[kind_of_value]
        for option in options:
            inner = typing.get_args(option)[0] if typing.get_origin(option) is list else option
            # A part without such members is the same in both forms.
            if typing.is_typeddict(inner) and ((shape := _shape(inner)).absent or shape.parts):
                parts[name] = shape
    lists = [name for name, value in absent.items() if value == []]
    return _Shape(absent, lists, parts)
