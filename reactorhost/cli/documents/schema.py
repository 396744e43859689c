"""Make a JSON Schema from the types of a document: TypedDicts, lists, mappings, unions and plain values."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any, NotRequired

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_PLAIN: Mapping[object, Mapping[str, str]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    types.NoneType: {"type": "null"},
    object: {},
}


def schema_of(kinds: Iterable[Any], title: str, *, closed: bool = False) -> dict[str, Any]:
    """Return the schema of a document that has one of these types.

    Later versions of a document may have more fields, so a reader has to accept them. In a `closed` schema every field
    is listed, which tests use.
    """
    shapes: dict[str, Any] = {}
    options = [_schema(kind, shapes, closed=closed) for kind in kinds]
    return {"$schema": DIALECT, "title": title, "anyOf": options, "$defs": shapes}


def _schema(kind: Any, shapes: dict[str, Any], *, closed: bool) -> dict[str, Any]:
    if kind in _PLAIN:
        return dict(_PLAIN[kind])
    if typing.is_typeddict(kind):
        return _object(kind, shapes, closed=closed)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        options = [_schema(each, shapes, closed=closed) for each in arguments]
        if all(option.keys() == {"type"} for option in options):
            return {"type": [option["type"] for option in options]}
        return {"anyOf": options}
    if origin is list:
        return {"type": "array", "items": _schema(arguments[0], shapes, closed=closed)}
    if origin is dict and arguments[0] is str:
        return {"type": "object", "additionalProperties": _schema(arguments[1], shapes, closed=closed)}
    raise TypeError(f"{kind} has no JSON Schema")


def _object(kind: Any, shapes: dict[str, Any], *, closed: bool) -> dict[str, Any]:
    reference = {"$ref": f"#/$defs/{kind.__name__}"}
    if kind.__name__ not in shapes:
        # Before its fields, which may refer to it.
        shape: dict[str, Any] = shapes.setdefault(kind.__name__, {"type": "object"})
        if description := inspect.getdoc(kind):
            shape["description"] = " ".join(description.split())
        # Not `__required_keys__`: with postponed annotations it does not know NotRequired.
        hints = typing.get_type_hints(kind, include_extras=True)
        optional = {name for name, hint in hints.items() if typing.get_origin(hint) is NotRequired}
        shape["properties"] = {
            name: _schema(typing.get_args(hint)[0] if name in optional else hint, shapes, closed=closed)
            for name, hint in hints.items()
        }
        shape["required"] = [name for name in hints if name not in optional]
        if closed:
            shape["additionalProperties"] = False
    return reference
