"""The page on numbers: its examples are files, they run, and counters outlive their workers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clients import read_exactly
from reactorhost.testing import LiveHost

Hosts = Callable[..., LiveHost]
Write = Callable[..., str]

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "examples"


def test_the_example_of_the_page_is_the_file() -> None:
    page = (ROOT / "docs" / "guide" / "numbers.md").read_text()
    assert (
        re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)[0] == (EXAMPLES / "words.py").read_text()
    )


def stats_of(document: dict[str, Any]) -> dict[str, float]:
    stats: dict[str, float] = document["plugins"][0]["stats"]
    return stats


def test_the_example_counts_and_its_counter_outlives_a_reload(live_host: Hosts) -> None:
    host = live_host("--plugin", "words:Words", "--workers", "2", environment={"PYTHONPATH": str(EXAMPLES)})
    with host.connect() as client:
        client.sendall(b"one two one")
        assert read_exactly(client, 2) == b"2\n"
        host.until(lambda found: stats_of(found) == {"different_words": 2, "words": 3})
        shown = host.command("status").stdout
        assert "NUMBERS\nwords:Words:  different_words 2  words 3\n" in shown
        assert host.command("reload").returncode == 0
        # The old worker still serves this client: it counts, and its words are there.
        client.sendall(b"three")
        assert read_exactly(client, 2) == b"3\n"
        host.until(lambda found: stats_of(found) == {"different_words": 3, "words": 4})
        # What it counts at the very end is told too.
        client.sendall(b"four five")
        assert read_exactly(client, 2) == b"5\n"
    host.until(lambda found: stats_of(found) in ({"words": 6}, {"different_words": 0, "words": 6}))
    once = host.command("top", "--once", "--json")
    assert stats_of(json.loads(once.stdout))["words"] == 6


def test_what_is_wrong_with_stats_is_told_and_the_worker_serves_on(
    live_host: Hosts, write_plugin: Write, expected_errors: list[str]
) -> None:
    expected_errors.append("hook_failed")
    wrong = write_plugin(
        """
@hookimpl
def stats():
    return {"good": 1, "Bad": 2}

@hookimpl
def receive(connection, data):
    connection.send(data)
"""
    )
    failing = write_plugin('@hookimpl\ndef stats():\n    raise ValueError("spoiled")\n', "failing")
    host = live_host("--plugin", wrong, "--plugin", failing, "--workers", "1")
    host.until(lambda found: stats_of(found) == {"good": 1})
    log = host.wait_for_log("hook_failed")
    assert f'plugin=failing hook=stats error="ValueError: spoiled" where={failing}:4' in log
    assert "stats_invalid" in log
    assert "reason=\"'Bad' is not a valid metric name" in log
    with host.connect() as client:
        client.sendall(b"x")
        assert read_exactly(client, 1) == b"x"
    # Looked at every second, told every minute.
    assert host.log().count("hook_failed") == host.log().count("stats_invalid") == 1
