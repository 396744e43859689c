"""Queries for connections: what is read from a message, and the order of rows."""

from __future__ import annotations

from typing import Any

import pytest

from reactorhost.errors import UsageError
from reactorhost.ipc.connection_query import ConnectionQuery, Grouping, Sort, add_to_group


def test_a_query_is_the_same_after_its_way_through_a_message() -> None:
    query = ConnectionQuery(
        service="chat",
        peer="10.0.0.0/8",
        slot=0,
        pid=7,
        id=3,
        sort=Sort.RATE_IN,
        reverse=True,
        limit=0,
        group=Grouping.PEER,
        rates=True,
    )
    assert ConnectionQuery.of(query.as_fields()) == query
    assert ConnectionQuery().as_fields() == {}
    assert ConnectionQuery.of({"verb": "connections", "service": None}) == ConnectionQuery()


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"sort": "idel"}, "there is no sort 'idel'"),
        ({"sort": 3}, "there is no sort 3"),
        ({"group": "slot"}, "there is no group 'slot'"),
        ({"limit": 1001}, "limit 1001 is not between 0 and 1000"),
        ({"limit": -1}, "limit -1 is not between 0 and 1000"),
        ({"limit": True}, "limit has the wrong type: True"),
        ({"slot": "0"}, "slot has the wrong type: '0'"),
        ({"reverse": 1}, "reverse has the wrong type: 1"),
        ({"peer": 7}, "peer has the wrong type: 7"),
        ({"sort": "connections"}, "only groups can be sorted by connections"),
    ],
)
def test_an_invalid_query_is_refused_with_a_sentence(fields: dict[str, Any], what: str) -> None:
    with pytest.raises(UsageError) as raised:
        ConnectionQuery.of(fields)
    assert raised.value.what == what
    assert raised.value.hint


ROWS = [
    {"slot": 1, "pid": 71, "id": 1, "peer": "b:1", "bytes_in": 5, "idle_seconds": 1.0, "in_per_second": None},
    {"slot": 0, "pid": 70, "id": 2, "peer": "a:1", "bytes_in": 9, "idle_seconds": 3.0, "in_per_second": 0.0},
    {"slot": 0, "pid": 70, "id": 1, "peer": "c:1", "bytes_in": 5, "idle_seconds": 2.0, "in_per_second": 7.5},
]


@pytest.mark.parametrize(
    ("fields", "peers"),
    [
        ({}, "cab"),
        ({"reverse": True}, "bac"),
        ({"limit": 2}, "ca"),
        ({"limit": 0}, ""),
        ({"sort": "peer"}, "abc"),
        ({"sort": "peer", "reverse": True}, "cba"),
        ({"sort": "in"}, "acb"),
        ({"sort": "in", "reverse": True}, "cba"),
        ({"sort": "idle"}, "acb"),
        ({"sort": "idle", "limit": 1, "reverse": True}, "b"),
        ({"sort": "rate_in"}, "cab"),
        ({"sort": "rate_in", "reverse": True}, "acb"),
    ],
)
def test_rows_are_sorted_and_cut_and_equal_ones_stay_in_the_order_of_their_workers(
    fields: dict[str, Any], peers: str
) -> None:
    assert "".join(row["peer"][0] for row in ConnectionQuery.of(fields).ordered(ROWS)) == peers


def test_groups_are_sorted_by_their_connections() -> None:
    groups: list[dict[str, Any]] = [{"peer": "b", "connections": 2}, {"peer": "c", "connections": 9}]
    groups.append({"peer": "a", "connections": 2})
    assert [row["peer"] for row in ConnectionQuery.of({"group": "peer"}).ordered(groups)] == ["c", "a", "b"]


def test_a_group_has_sums_the_longest_age_and_the_shortest_idle_time() -> None:
    numbers = {"connections": 2, "bytes_in": 10, "bytes_out": 20, "queued_bytes": 0}
    group: dict[str, Any] = {"peer": "a", **numbers, "age_seconds": 5.0, "idle_seconds": 3.0, "in_per_second": None}
    other: dict[str, Any] = {**numbers, "age_seconds": 9.0, "idle_seconds": 4.0, "in_per_second": 1.5}
    add_to_group(group, other)
    assert group == {
        "peer": "a",
        "connections": 4,
        "bytes_in": 20,
        "bytes_out": 40,
        "queued_bytes": 0,
        "age_seconds": 9.0,
        "idle_seconds": 3.0,
        "in_per_second": 1.5,
    }
