"""Two addresses of one host that lead to the same socket are found before they are bound."""

from __future__ import annotations

from pathlib import Path

import pytest

from reactorhost.config.resolve import resolve
from reactorhost.errors import ConfigError
from reactorhost.master.listen.overlaps import check_overlaps


def check(folder: Path, first: str, second: str) -> None:
    file = folder / "host.toml"
    services = (
        f'[service.{name}]\nplugins = "echo"\nlisten = "{listen}"\n' for name, listen in (("a", first), ("b", second))
    )
    file.write_text("".join(services))
    check_overlaps(resolve({"config": str(file)}, {}, folder))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("tcp://127.0.0.1:9", "tcp://0.0.0.0:9"),
        ("tcp://0.0.0.0:9", "tcp://127.0.0.1:9"),
        ("tcp://127.0.0.1:9", "tcp://*:9"),
        ("tcp://127.0.0.1:9", "tcp://localhost:9"),
        ("udp://127.0.0.1:9", "udp://*:9"),
        ("unix://{0}/a.sock", "unix://{0}/./a.sock"),
    ],
)
def test_addresses_that_overlap_are_both_named(tmp_path: Path, first: str, second: str) -> None:
    first, second = (each.format(tmp_path) for each in (first, second))
    with pytest.raises(ConfigError) as refused:
        check(tmp_path, first, second)
    (problem,) = refused.value.problems
    assert problem.what == f"service 'b': {second} overlaps with {first} of service 'a'"
    assert problem.where is not None
    assert problem.where.endswith("host.toml:6")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("tcp://127.0.0.1:9", "tcp://127.0.0.2:9"),
        ("tcp://127.0.0.1:9", "udp://*:9"),
        ("tcp://127.0.0.1:9", "tcp://[::]:9"),
        ("tcp://127.0.0.1:9", "tcp://*:10"),
        ("tcp://127.0.0.1:0", "tcp://*:0"),
        ("tcp://127.0.0.1:9", "tcp://host.invalid:9"),
        ("unix:///a", "unix:///b"),
        ("unix:///a", "unix://@/a"),
        ("unix://{0}/@a", "unix://@a"),
    ],
)
def test_other_addresses_do_not_overlap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str, second: str
) -> None:
    # A name that is abstract is not a path in the working directory.
    monkeypatch.chdir(tmp_path)
    check(tmp_path, first.format(tmp_path), second)


@pytest.mark.parametrize("admin", ["tcp://127.0.0.1:9", "tcp://*:9", "tcp://localhost:9"])
def test_the_endpoint_may_not_overlap_with_a_service(tmp_path: Path, admin: str) -> None:
    flags = {"plugins": ("echo",), "listen": ("udp://127.0.0.1:9", "tcp://127.0.0.1:9"), "admin": admin}
    with pytest.raises(ConfigError) as refused:
        check_overlaps(resolve(flags, {}, tmp_path))
    (problem,) = refused.value.problems
    assert problem.what == f"admin: {admin} overlaps with tcp://127.0.0.1:9 of service 'default'"
    assert problem.where == "--admin"
    check_overlaps(resolve({**flags, "admin": "tcp://127.0.0.1:10"}, {}, tmp_path))
