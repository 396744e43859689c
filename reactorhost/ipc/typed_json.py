"""Dataclasses as JSON values and back, by the types of their fields.

It is for state that one version of the host writes and another one may read. A field that the reader does not know is
ignored, and one that is missing has its default: so fields may be added and removed without a new number of the schema.
"""

from __future__ import annotations

import dataclasses
import enum
import types
import typing
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

_COLLECTIONS: Mapping[object, Callable[[Iterable[Any]], Any]] = {
    list: list,
    set: set,
    frozenset: frozenset,
    Sequence: list,
    Collection: list,
}


def to_json(value: Any) -> Any:  # noqa: PLR0911  one arm for each kind of value
    """Return a value as JSON has it; a mapping whose keys are not all text becomes a list of pairs."""
    if dataclasses.is_dataclass(value):
        return {each.name: to_json(getattr(value, each.name)) for each in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Mapping):
        if all(isinstance(key, str) for key in value):
            return {key: to_json(each) for key, each in value.items()}
        return [[to_json(key), to_json(each)] for key, each in value.items()]
    if isinstance(value, list | tuple | set | frozenset):
        return [to_json(each) for each in value]
    if isinstance(value, bytes | bytearray):
        return value.decode("latin-1")
    if isinstance(value, Path):
        return str(value)
    return value


def from_json(kind: type[T], value: Any) -> T:
    """Return the value of a type that `to_json` was called with.

    Raises:
        ValueError: it is not one.
    """
    try:
        return typing.cast("T", _decoded(kind, value))
    except (TypeError, KeyError, AttributeError, IndexError) as error:
        raise ValueError(f"not a {getattr(kind, '__name__', kind)}: {error}") from error


def _decoded(kind: Any, value: Any) -> Any:  # noqa: C901, PLR0911  one arm for each kind of type
    if kind is Any or typing.is_typeddict(kind):
        return value
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return _one_of(arguments, value)
    if origin is tuple:
        if arguments[-1] is Ellipsis:
            return tuple(_decoded(arguments[0], each) for each in value)
        return tuple(_decoded(each, item) for each, item in zip(arguments, value, strict=True))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        pairs = value.items() if isinstance(value, dict) else value
        # A Counter has the type of its keys only.
        of_key, of_value = (*arguments, int)[:2]
        decoded = {_decoded(of_key, key): _decoded(of_value, each) for key, each in pairs}
        return decoded if isinstance(decoded, origin) else origin(decoded)  # type: ignore[call-arg]  # a Counter
    if origin is not None:
        return _COLLECTIONS[origin](_decoded(arguments[0], each) for each in value)
    if dataclasses.is_dataclass(kind):
        hints = _hints(typing.cast("type", kind))
        return kind(**{name: _decoded(hints[name], each) for name, each in value.items() if name in hints})  # type: ignore[operator]  # a class
    if kind is bytes:
        return value.encode("latin-1")
    if isinstance(kind, type) and issubclass(kind, enum.Enum | Path):
        return kind(value)
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise ValueError(f"{value!r} is not of type {kind.__name__}")
    return value


def _one_of(kinds: Sequence[Any], value: Any) -> Any:
    if value is None and types.NoneType in kinds:
        return None
    failure: Exception | None = None
    for kind in kinds:
        if kind is not types.NoneType:
            try:
                return _decoded(kind, value)
            except (ValueError, TypeError) as error:
                failure = error
    raise failure or ValueError(f"{value!r} is of none of these types")


@cache
def _hints(kind: type) -> Mapping[str, Any]:
    known = {each.name for each in dataclasses.fields(kind) if each.init}
    return {name: hint for name, hint in typing.get_type_hints(kind).items() if name in known}
