"""Parse what operators write: rates, durations and networks.

Nothing here makes a system call.
"""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple

_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_AMOUNT = r"([0-9]{1,15})"
_UNIT = r"(?: ?(B|KiB|MiB|GiB))?"
_TIME = r"[0-9]{1,9}(?:\.[0-9]{1,9})? ?[smhd]"
_RATE = re.compile(rf"{_AMOUNT}{_UNIT}/([smhd])(?: burst {_AMOUNT}{_UNIT})?( slow(?: ({_TIME}))?)?")
_SLOW_SECONDS = 10.0


class Rate(NamedTuple):
    """What a rule says.

    Attributes:
        per_second: what is allowed in a second.
        burst: what is allowed at once.
        slow_seconds: how late what is above it may be, before it is refused; None to refuse it at once.
    """

    per_second: float
    burst: float
    slow_seconds: float | None = None


Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def rate(text: str, *, of_bytes: bool = False) -> Rate:
    """Return the rate of a text such as `10/s burst 50` or `10/s burst 50 slow`.

    Without a burst it is the amount itself: `600/m` allows 600 at once. `slow` is `slow 10s`.

    Raises:
        ValueError: it is not a rate.
    """
    found = _RATE.fullmatch(text)
    example = "1MiB/s burst 8MiB" if of_bytes else "10/s burst 50"
    if found is None or (not of_bytes and (found[2] or found[5])):
        raise ValueError(f"it must be a rate such as {example!r}, not {text!r}")
    amount = int(found[1]) * _BYTES[found[2] or ""]
    burst = amount if found[4] is None else int(found[4]) * _BYTES[found[5] or ""]
    if not amount or not burst:
        raise ValueError(f"rate and burst must be above 0, in {text!r}")
    slow_seconds = _seconds(found[7]) if found[7] else _SLOW_SECONDS if found[6] else None
    one_seconds = _SECONDS[found[3]] / amount
    if slow_seconds is not None and slow_seconds < one_seconds:
        needed = shown_duration(one_seconds)
        raise ValueError(f"one is allowed in {needed}, so it must be 'slow {needed}' or longer, in {text!r}")
    return Rate(1.0 / one_seconds, float(burst), slow_seconds)


def duration(text: str) -> float:
    """Return the seconds of a text such as `90s`, `15m`, `2h` or `7d`.

    Raises:
        ValueError: it is not a duration.
    """
    seconds = _seconds(text) if re.fullmatch(_TIME, text) else 0.0
    if not seconds:
        raise ValueError(f"it must be a duration above 0 such as '90s', '15m', '2h' or '7d', not {text!r}")
    return seconds


def _seconds(text: str) -> float:
    return float(text[:-1]) * _SECONDS[text[-1]]


def network(text: str) -> Network:
    """Return the network of a text such as `203.0.113.0/24`; an address is a network of one.

    An IPv4 network that is written as an IPv6 one (::ffff:203.0.113.7) is the IPv4 network.

    Raises:
        ValueError: it is neither an address nor a network.
    """
    try:
        found = ipaddress.ip_network(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is not an address or a network: {error}") from None
    if isinstance(found, ipaddress.IPv6Network) and found.prefixlen >= 96:
        mapped = found.network_address.ipv4_mapped
        if mapped is not None:
            return ipaddress.IPv4Network((mapped, found.prefixlen - 96))
    return found


def shown(found: Network) -> str:
    """Return the text of a network: of a single address without the length of its prefix."""
    return str(found.network_address) if found.prefixlen == found.max_prefixlen else str(found)


def shown_duration(seconds: float) -> str:
    """Return seconds in the largest unit that has no fraction, rounded up to whole seconds."""
    whole = -int(-seconds // 1)
    unit = next(unit for unit in "dhms" if whole % int(_SECONDS[unit]) == 0 or unit == "s") if whole else "s"
    return f"{whole // int(_SECONDS[unit])}{unit}"


def contains(outer: Network, inner: Network) -> bool:
    """Return whether a network contains all of another one."""
    return outer.version == inner.version and inner.subnet_of(outer)  # type: ignore[arg-type]  # of one version
