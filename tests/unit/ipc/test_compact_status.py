"""The compact form of the status document."""

from __future__ import annotations

import json

import pytest

from documents import document, event, on_bus, troubled
from reactorhost.errors import ReactorhostError
from reactorhost.ipc.compact_status import compacted, readable
from reactorhost.ipc.status import StatusDocument


@pytest.mark.parametrize("made", [document(3), troubled(), on_bus(document(2), "up")], ids=["calm", "troubled", "bus"])
def test_a_document_is_the_same_after_its_compact_form(made: StatusDocument) -> None:
    sent = compacted(made)
    assert readable(json.loads(json.dumps(sent))) == made
    assert readable(json.loads(json.dumps(made))) == made
    assert len(json.dumps(sent)) < len(json.dumps(made))


def test_what_is_zero_false_or_empty_is_left_out_where_it_is_not_a_null() -> None:
    made = document(2)
    worker = made["workers"][0]
    worker.update({"refused": 0, "full": False, "holds": [], "cpu_percent": 0.0})
    sent = compacted(made)["workers"][0]
    assert {"refused", "full", "holds", "boot"}.isdisjoint(sent)
    assert sent["cpu_percent"] == 0.0
    first, second = readable(json.loads(json.dumps(compacted(made))))["workers"]
    assert (first["refused"], first["full"], first["holds"], first["boot"]) == (0, False, [], None)
    assert first["holds"] is not second["holds"]


def test_what_is_null_is_left_out_in_every_part_but_not_in_the_fields_of_events() -> None:
    made = document(1, events=[event(1.0, "worker_exited", how=None)])
    sent = compacted(made)
    assert "history" not in sent
    assert "last_exit" not in sent["workers"][0]
    assert sent["events"][0]["fields"] == {"how": None}


def test_a_document_of_another_schema_is_refused_with_both_versions() -> None:
    with pytest.raises(ReactorhostError) as raised:
        readable({"schema": 1, "version": "0.0.9"})
    assert raised.value.what == "the host has version 0.0.9, whose status has schema 1"
    assert raised.value.hint
