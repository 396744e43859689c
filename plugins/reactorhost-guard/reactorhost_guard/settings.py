"""The options of the guard, checked and converted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

from reactorhost import Option, SetupError
from reactorhost_guard import notation
from reactorhost_guard.addresses import NetworkMap, Prefixes
from reactorhost_guard.bans import BanTimes
from reactorhost_guard.meters import Limit, limit
from reactorhost_guard.usage import Limits

_LEAST_IPV4, _LEAST_IPV6 = 8, 16
_MOST_ADDRESSES = 10_000_000

T = TypeVar("T")

OPTIONS = (
    Option("connects", default=None, help="new connections of an address, such as 10/s burst 50"),
    Option("messages", default=None, help="messages of an address, such as 100/s burst 500, or 100/s burst 500 slow"),
    Option("bytes", default=None, help="bytes from an address, such as 1MiB/s burst 8MiB"),
    Option("network_connects", default=None, help="new connections of all addresses of a network"),
    Option("network_messages", default=None, help="messages of all addresses of a network"),
    Option("network_bytes", default=None, help="bytes from all addresses of a network"),
    Option("ipv4_network", int, default=24, help="bits of an IPv4 network, 8 to 32"),
    Option("ipv6_address", int, default=64, help="bits of an IPv6 address that make one client, 32 to 128"),
    Option("ipv6_network", int, default=48, help="bits of an IPv6 network, 16 to 128"),
    Option("allow", list, default=[], help="networks that are neither limited nor banned"),
    Option("deny", list, default=[], help="networks that are always refused"),
    Option("ban_after", int, default=10, help="strikes until an address is banned, 0 for no bans"),
    Option("strike_memory", default="1m", help="time in which one strike is forgotten, such as 30s"),
    Option("ban_time", default="1m", help="length of the first ban, such as 60s; each further one is twice as long"),
    Option("ban_time_max", default="1d", help="length of the longest ban, such as 12h"),
    Option("ban_memory", default="1h", help="time without a ban after which one doubling is forgotten, such as 2h"),
    Option("max_addresses", int, default=50_000, help="addresses without connections, and bans, that are remembered"),
    Option("dry_run", bool, default=False, help="count and log what would be refused, and refuse nothing"),
    Option("state_dir", default=None, help="folder for the bans; they survive a stop, and commands can change them"),
)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the operator has set.

    Attributes:
        of_address: the limits of each address.
        of_network: the limits of each network.
        address: the bits of an address that make one client.
        network: the bits of a network.
        allow: networks that are neither limited nor banned; None for none, as the next one.
        deny: networks that are refused.
    """

    of_address: Limits
    of_network: Limits
    address: Prefixes
    network: Prefixes
    allow: NetworkMap[bool] | None
    deny: NetworkMap[bool] | None
    ban_times: BanTimes
    max_addresses: int
    dry_run: bool
    state_dir: Path | None

    @property
    def limits_nothing(self) -> bool:
        """Whether no limit is set, no network is in `deny`, and no command can ban."""
        limited = self.of_address.of_clients or self.of_network.of_clients
        return not limited and self.deny is None and self.state_dir is None


def settings(config: Mapping[str, object]) -> Settings:
    """Return the settings of the options.

    Raises:
        ExceptionGroup: of a `SetupError` for each option with an invalid value.
    """
    options = _Reader(config)
    ban_times = BanTimes(
        options.read("ban_time", notation.duration),
        options.read("ban_time_max", notation.duration),
        options.read("ban_memory", notation.duration),
    )
    if ban_times.first > ban_times.most and not options.errors:
        options.refuse("ban_time", "it must not be longer than ban_time_max")
    ban_after = options.number("ban_after", 0, 1_000_000)
    strike_seconds = options.read("strike_memory", notation.duration)
    ipv6_address = options.number("ipv6_address", 32, 128)
    found = Settings(
        of_address=Limits(
            options.read("connects", _connects),
            options.read("messages", _messages),
            options.read("bytes", _bytes),
            limit(1.0 / strike_seconds, ban_after) if ban_after else None,
        ),
        of_network=Limits(
            options.read("network_connects", _connects),
            options.read("network_messages", _messages),
            options.read("network_bytes", _bytes),
        ),
        address=Prefixes(32, ipv6_address),
        network=Prefixes(
            options.number("ipv4_network", _LEAST_IPV4, 32), options.number("ipv6_network", _LEAST_IPV6, ipv6_address)
        ),
        allow=options.read("allow", _networks),
        deny=options.read("deny", _networks),
        ban_times=ban_times,
        max_addresses=options.number("max_addresses", 1, _MOST_ADDRESSES),
        dry_run=cast("bool", config["dry_run"]),
        state_dir=options.read("state_dir", _folder),
    )
    if options.errors:
        raise ExceptionGroup("options", options.errors)
    return found


def state_dir(config: Mapping[str, object]) -> Path | None:
    """Return the folder for the bans, if one is set.

    Raises:
        SetupError: it is not an absolute path.
    """
    options = _Reader(config)
    found = options.read("state_dir", _folder)
    if options.errors:
        raise options.errors[0]
    return found


class _Reader:
    """Reads options; in place of a wrong value the default counts, so that the next ones can be checked."""

    def __init__(self, config: Mapping[str, object]) -> None:
        self._config = config
        self.errors: list[SetupError] = []

    def read(self, option: str, parse: Callable[[Any], T]) -> T:
        """Return the value of an option, which `parse` makes of it."""
        try:
            return parse(self._config[option])
        except ValueError as error:
            self.refuse(option, str(error))
            return parse(next(each.default for each in OPTIONS if each.name == option))

    def number(self, option: str, least: int, most: int) -> int:
        """Return the value of an option that has bounds."""
        return self.read(option, partial(_between, least, most))

    def refuse(self, option: str, what: str) -> None:
        """Note that the value of an option is wrong."""
        self.errors.append(SetupError(what, option=option))


def _connects(text: str | None) -> Limit | None:
    found = None if text is None else notation.rate(text)
    if found is not None and found.slow_seconds is not None:
        raise ValueError(f"only messages and bytes can be slow, not connections as in {text!r}: leave out 'slow'")
    return None if found is None else limit(*found)


def _messages(text: str | None) -> Limit | None:
    return None if text is None else limit(*notation.rate(text))


def _bytes(text: str | None) -> Limit | None:
    return None if text is None else limit(*notation.rate(text, of_bytes=True))


def _networks(texts: Sequence[str]) -> NetworkMap[bool] | None:
    found: NetworkMap[bool] = NetworkMap()
    for text in texts:
        found[notation.network(text)] = True
    return found if texts else None


def _between(least: int, most: int, number: int) -> int:
    if not least <= number <= most:
        raise ValueError(f"it must be between {least} and {most}, not {number}")
    return number


def _folder(path: str | None) -> Path | None:
    if path is not None and not Path(path).is_absolute():
        raise ValueError(f"it must be an absolute path, not {path!r}")
    return None if path is None else Path(path)
