"""The schema of a type accepts what has the type, and nothing else."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

import pytest
from jsonschema import Draft202012Validator

from reactorhost.cli.documents.schema import schema_of


class Leaf(TypedDict):
    """A leaf
    of a tree."""

    size: float | None


class Tree(Leaf):
    name: str
    leaves: list[Leaf]
    counts: dict[str, int]
    grown: bool
    parent: NotRequired[Tree | None]
    extra: NotRequired[object]


LEAF = {"size": 1}
TREE = {"size": None, "name": "oak", "leaves": [LEAF], "counts": {"a": 1}, "grown": True}


def errors(document: Any, *, closed: bool = True) -> list[str]:
    schema = schema_of((Tree,), "tree", closed=closed)
    Draft202012Validator.check_schema(schema)
    return [error.json_path for error in Draft202012Validator(schema).iter_errors(document)]


@pytest.mark.parametrize("more", [{}, {"parent": TREE}, {"parent": None}, {"extra": [1]}])
def test_a_value_of_the_type_is_accepted(more: dict[str, Any]) -> None:
    assert errors({**TREE, **more}) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"size": "1"},
        {"name": None},
        {"leaves": [{}]},
        {"leaves": LEAF},
        {"counts": {"a": 1.5}},
        {"grown": 1},
        {"parent": {**TREE, "name": 1}},
        {"unknown": 1},
    ],
    ids=str,
)
def test_any_other_value_is_rejected(wrong: dict[str, Any]) -> None:
    assert errors({**TREE, **wrong})


def test_only_fields_that_are_not_required_may_be_missing() -> None:
    for name in TREE:
        assert errors({key: value for key, value in TREE.items() if key != name})


def test_a_reader_accepts_more_fields() -> None:
    assert errors({**TREE, "unknown": 1}, closed=False) == []


def test_the_description_is_that_of_the_type() -> None:
    assert schema_of((Leaf,), "leaf")["$defs"]["Leaf"]["description"] == "A leaf of a tree."


def test_a_type_that_json_does_not_have_is_refused() -> None:
    class Odd(TypedDict):
        """A set."""

        members: set[str]

    with pytest.raises(TypeError, match="has no JSON Schema"):
        schema_of((Odd,), "odd")
