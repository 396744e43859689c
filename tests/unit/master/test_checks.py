"""What would fail later in a start is found before it begins."""

from __future__ import annotations

import importlib.util
import resource
from pathlib import Path

import pytest

from reactorhost.config.resolve import resolve
from reactorhost.errors import BootError, ReactorhostError
from reactorhost.master.checks import check_settings
from reactorhost.master.listen import bind


@pytest.mark.parametrize(
    ("workers", "of_service", "needed"),
    [
        ("1", None, 16 + 3 + 4 + 2),
        ("256", None, 16 + 3 + 256 * 4 + 8),
        ("1-256", None, 16 + 3 + 256 * 4 + 8),
        ("256", "3", 16 + 3 + 3 * 2 + 256 * 2 + 8),
    ],
    ids=["one", "many", "up to many", "many with a service of fewer"],
)
def test_the_limit_of_open_files_must_be_enough(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, workers: str, of_service: str | None, needed: int
) -> None:
    limit = needed
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (limit, limit))
    unix = tuple(f"unix://{tmp_path}/{name}" for name in "abc")
    listen = ("tcp://127.0.0.1:0", "udp://127.0.0.1:0", *unix)
    flags = {"plugins": ("echo",), "workers": workers, "listen": listen, "service_workers": of_service}
    settings = resolve(flags, {}, tmp_path)
    check_settings(settings)
    limit = needed - 1
    with pytest.raises(BootError, match=f"need {needed} open files, and the limit is {limit}") as refused:
        check_settings(settings)
    assert refused.value.hint is not None
    assert "ulimit -n" in refused.value.hint


@pytest.mark.parametrize(("admin", "warns"), [("tcp://0.0.0.0:0", True), ("tcp://127.0.0.1:0", False), (None, False)])
def test_an_endpoint_that_other_machines_reach_is_a_warning(tmp_path: Path, admin: str | None, warns: bool) -> None:
    settings = resolve({"plugins": ("echo",), "admin": admin}, {}, tmp_path)
    expected = ["admin is tcp://0.0.0.0:0: other machines reach it, without password and TLS"]
    assert check_settings(settings) == (expected if warns else [])


@pytest.mark.parametrize(("backlog", "warns"), [(None, False), ("4096", False), ("5000", True)])
def test_a_backlog_that_was_set_and_cannot_be_had_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, backlog: str | None, warns: bool
) -> None:
    monkeypatch.setattr(bind, "effective_backlog", lambda asked: min(asked, 4096))
    settings = resolve({"plugins": ("echo",), "backlog": backlog}, {}, tmp_path)
    expected = ["the kernel limits the backlog to 4096 (net.core.somaxconn), and 5000 was set"]
    assert check_settings(settings) == (expected if warns else [])


def test_code_is_watched_only_if_the_library_is_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    flags = {"plugins": ("echo",), "reload_on_change": True}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ReactorhostError, match="needs watchfiles, which is not installed") as refused:
        check_settings(resolve(flags, {}, tmp_path))
    assert refused.value.hint is not None
    assert "pip install watchfiles" in refused.value.hint
    check_settings(resolve({"plugins": ("echo",)}, {}, tmp_path))
