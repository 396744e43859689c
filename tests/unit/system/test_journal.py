"""Output that becomes entries of the journal is recognised, and its lines have priorities."""

from __future__ import annotations

import os

import pytest

from reactorhost.system import journal


@pytest.mark.parametrize(
    ("stream", "leads_there"),
    [("{device}:{inode}", True), ("{device}:1{inode}", False), ("", False), ("nonsense", False), (None, False)],
    ids=["same", "inherited", "empty", "invalid", "unset"],
)
def test_output_leads_to_the_journal_if_it_is_the_stream_that_systemd_names(
    stream: str | None, leads_there: bool
) -> None:
    reader, writer = os.pipe()
    status = os.fstat(writer)
    text = None if stream is None else stream.format(device=status.st_dev, inode=status.st_ino)
    environment = {} if text is None else {"JOURNAL_STREAM": text}
    try:
        assert journal.leads_to_journal(writer, environment) is leads_there
    finally:
        os.close(reader)
        os.close(writer)
    assert not journal.leads_to_journal(-1, environment)


def test_each_line_has_the_priority() -> None:
    assert (
        journal.with_priority("plugin failed\n  where: a.py:1", journal.ERROR) == "<3>plugin failed\n<3>  where: a.py:1"
    )
