"""What the settings `debug` and `reload_on_change` mean for others."""

from __future__ import annotations

from collections.abc import Mapping

from reactorhost.config.layers import SettingValue
from reactorhost.config.settings import Layer

_DRAIN_SECONDS = 2.0
_STOP_SECONDS = 2.0
_BOOT_SECONDS = 86400.0


def for_development(host: Mapping[str, SettingValue]) -> dict[str, SettingValue]:
    """Return the settings of a host with those that follow from the two; `config show` names these as the source."""
    found = dict(host)
    reload, debug = host["reload_on_change"], host["debug"]
    if reload.value and host["drain_timeout"].origin.layer is Layer.DEFAULT:
        # A client that stays connected, a WebSocket for instance, would use the old code for an hour.
        found["drain_timeout"] = SettingValue(_DRAIN_SECONDS, reload.origin)
    if debug.value:
        if host["stop_timeout"].origin.layer is Layer.DEFAULT:
            # Ctrl-C at a prompt has to end a worker that does not turn its loop.
            found["stop_timeout"] = SettingValue(_STOP_SECONDS, debug.origin)
        # Also in place of what was set: a second worker would serve while one stands at a breakpoint, and a prompt
        # must not be ended by a deadline.
        values = {"workers": 1, "slow_hook": None, "stall_timeout": None, "boot_timeout": _BOOT_SECONDS}
        found |= {name: SettingValue(value, debug.origin) for name, value in values.items()}
    return found
