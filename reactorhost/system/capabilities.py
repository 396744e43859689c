"""Whether this process may bind a port that the kernel reserves for privileged programs."""

from __future__ import annotations

from pathlib import Path

_NET_BIND_SERVICE = 1 << 10
"""capabilities(7)"""


def may_bind(port: int, proc: Path = Path("/proc")) -> bool:
    """Return whether the kernel would allow this process to bind a port, without binding it.

    True if it cannot be known. In a user namespace that does not own its network, a capability counts for nothing and
    this returns True: then only a bind shows it.
    """
    try:
        first_free = int((proc / "sys/net/ipv4/ip_unprivileged_port_start").read_text())
        status = (proc / "self/status").read_text()
        effective = next(line for line in status.splitlines() if line.startswith("CapEff:"))
        return port == 0 or port >= first_free or bool(int(effective.split()[1], 16) & _NET_BIND_SERVICE)
    except (OSError, ValueError, StopIteration):
        return True
