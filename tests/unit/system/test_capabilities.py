"""Reserved ports need a capability."""

from __future__ import annotations

from pathlib import Path

import pytest

from reactorhost.system.capabilities import may_bind


@pytest.mark.parametrize(
    ("port", "first_free", "effective", "may"),
    [
        (80, "1024", "0000000000000000", False),
        (80, "1024", "0000000000000400", True),
        (80, "1024", "fffffffffffffbff", False),
        (1023, "1024", "0000000000000000", False),
        (1024, "1024", "0000000000000000", True),
        (80, "80", "0000000000000000", True),
        # Port 0 selects a free one.
        (0, "1024", "0000000000000000", True),
        (80, "unknown", "0000000000000000", True),
    ],
)
def test_a_reserved_port_needs_the_capability(
    tmp_path: Path, port: int, first_free: str, effective: str, may: bool
) -> None:
    (tmp_path / "sys/net/ipv4").mkdir(parents=True)
    (tmp_path / "sys/net/ipv4/ip_unprivileged_port_start").write_text(f"{first_free}\n")
    (tmp_path / "self").mkdir()
    (tmp_path / "self/status").write_text(f"Name:\tpython\nCapPrm:\t0000000000000400\nCapEff:\t{effective}\n")
    assert may_bind(port, tmp_path) is may


def test_without_proc_it_is_not_known(tmp_path: Path) -> None:
    assert may_bind(80, tmp_path)
