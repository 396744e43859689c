"""What a terminal writes by itself."""

from __future__ import annotations


def echoes_signals(descriptor: int) -> bool:
    """Return whether a terminal writes `^C` when that is typed (termios(3): ECHO and ECHOCTL)."""
    # Late: only a host in the foreground that is interrupted needs it.
    import termios

    try:
        local = termios.tcgetattr(descriptor)[3]
    except termios.error:
        return False
    wanted = termios.ECHO | termios.ECHOCTL
    return bool(local & wanted == wanted)
