"""The files of docs/examples that a how-to page shows are in the page, unchanged, and its profiler profiles."""

from __future__ import annotations

import os
import pstats
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from reactorhost import Connection, hookimpl
from reactorhost.testing import PluginBench

DOCS = Path(__file__).parents[2] / "docs"
SHOWN = [
    ("haproxy.md", "deploy/behind-proxy.toml"),
    ("haproxy.md", "deploy/haproxy.cfg"),
    *(
        (f"migrate-{name}.md", f"migrate/{name}_{when}")
        for name, before in [("asyncio", "py"), ("socketserver", "py"), ("twisted", "py"), ("workerman", "php")]
        for when in (f"before.{before}", "after.py")
    ),
    ("nginx.md", "deploy/behind-proxy.toml"),
    ("nginx.md", "deploy/nginx.conf"),
    ("profiling.md", "profiler.py"),
    ("tls-renewal.md", "deploy/renew-certificate.sh"),
    ("zero-downtime.md", "deploy/deploy.sh"),
    ("zero-downtime.md", "deploy/verify.py"),
]


@pytest.mark.parametrize(("page", "file"), SHOWN)
def test_the_page_shows_the_file_unchanged(page: str, file: str) -> None:
    text = (DOCS / "how-to" / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^```\w+\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert (DOCS / "examples" / file).read_text(encoding="utf-8") in blocks


class Shout:
    @hookimpl
    def receive(self, connection: Connection, data: bytes) -> None:
        connection.send(data.upper())


def run_out(bench: PluginBench) -> None:
    bench.advance(10.0)
    bench.connect().send(b"not counted")


@pytest.mark.parametrize("end", [run_out, PluginBench.stop])
def test_the_profile_has_what_was_called_until_its_end(
    plugin_bench: Callable[..., PluginBench], tmp_path: Path, end: Callable[[PluginBench], None]
) -> None:
    options = {"profiler": {"seconds": 10.0, "file": str(tmp_path / "profile")}}
    bench = plugin_bench(str(DOCS / "examples" / "profiler.py"), Shout, options=options)
    client = bench.connect()
    for _ in range(3):
        client.send(b"hello")
    end(bench)
    stats = pstats.Stats(str(tmp_path / f"profile.{os.getpid()}")).get_stats_profile().func_profiles
    assert stats["receive"].ncalls == "3"
