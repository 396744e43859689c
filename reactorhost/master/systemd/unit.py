"""The text of the units with which systemd runs a host, from its settings.

A unit restricts the host to what these settings need, so it has to be printed again after some changes: another user, a
port below 1024, files in other places.
"""

from __future__ import annotations

import math
import os
import stat
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from reactorhost.address import Address
from reactorhost.config import plugin_tables
from reactorhost.config.plugin_names import names_a_file
from reactorhost.config.settings import MAX_WORKERS, Settings
from reactorhost.errors import ReactorhostError
from reactorhost.master.listen import bind

RELOADS_BY_NOTIFICATION = 253
"""The version of systemd that knows Type=notify-reload."""
_SETS_FDSTORE = 254
_SPARE_SECONDS = 10
_LEAST_DESCRIPTORS = 65536
_SPARE_DESCRIPTORS = 1024
_LEAST_STORED = 64
_HOMES = ("/home", "/root", "/run/user")
_TEMPORARY = ("/tmp", "/var/tmp")  # noqa: S108  compared with, not written to
_LOCAL_HOSTS = ("", "*", "0.0.0.0", "::", "127.0.0.1", "::1", "localhost")
# Usage, a plugin that cannot be loaded, a host that runs already, not permitted: another try would fail alike. And a
# stop that was not complete, by `reactorhost stop`, of which systemd does not know that the host is to stay stopped.
_FINAL_STATUSES = "2 4 6 7 8"

_SANDBOX = """\
NoNewPrivileges=yes
LockPersonality=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM"""
# What the manager of a user may not set up.
_SANDBOX_OF_THE_SYSTEM = """\
ProtectSystem=strict
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes"""


@dataclass(frozen=True, slots=True)
class UnitPlan:
    """What units are printed for.

    Attributes:
        command: the program and the arguments that start the host.
        directory: where it is started.
        systemd_version: the version of systemd that reads the unit.
        is_root: the unit is one of the system, and not of a user.
    """

    settings: Settings
    command: Sequence[str]
    directory: Path
    systemd_version: int
    is_root: bool

    def service(self) -> str:
        """Return the text of the `.service` unit."""
        sections = (
            ("Unit", self._unit()),
            ("Service", [*self._process(), *self._limits(), "", *self._restrictions()]),
            ("Install", [f"WantedBy={'multi-user' if self.is_root else 'default'}.target"]),
        )
        return _text(sections)

    def missing_folders(self) -> list[Path]:
        """Return the folders that the unit makes writable and that do not exist: systemd would refuse to start it."""
        return [each for each in sorted(set(self._written_folders())) if self.is_root and not each.is_dir()]

    def missing_variables(self) -> tuple[Path, list[str]] | None:
        """Return the file for variables, and their names, if it does not exist: systemd would refuse to start it."""
        found = self._environment_file()
        return None if found is None or found[0].is_file() else found

    def unwritable_options(self) -> list[str]:
        """Return the options of plugins that are paths to which the unit does not let them write, as `NAME.option`."""
        if not self.is_root:
            return []
        settings = self.settings
        writable = [*self._written_folders(), settings.run_dir, *map(Path, _TEMPORARY)]
        if settings.log_file is not None:
            writable.append(settings.log_file.parent)
        return [
            f"{name}.{option}"
            for name, table in settings.plugin_tables.items()
            for option, value in table.items()
            if (path := _absolute_path(value)) is not None and not any(map(path.is_relative_to, writable))
        ]

    def socket(self) -> str:
        """Return the text of the `.socket` unit.

        Raises:
            ReactorhostError: an address is not known before the host starts.
        """
        lines: list[str] = []
        for service in self.settings.services:
            for address in service.listen:
                lines += _listen(address)
        if any(line.startswith("ListenStream=[") for line in lines):
            lines.append("BindIPv6Only=ipv6-only")
        lines.append(f"Backlog={self.settings.backlog}")
        lines += self._socket_owner()
        unit = [f"Description=Sockets of reactorhost {self.settings.name}"]
        return _text((("Unit", unit), ("Socket", lines), ("Install", ["WantedBy=sockets.target"])))

    def _socket_owner(self) -> Iterator[str]:
        """Yield mode and owner of the files of unix sockets, of which a unit has one for all."""
        modes = {service.unix_mode for service in self.settings.services if service.unix_mode is not None}
        owners = {service.unix_owner for service in self.settings.services if service.unix_owner is not None}
        if len(modes) > 1 or len(owners) > 1:
            what = "the services have unix sockets of different modes or owners, and a socket unit has one for all"
            raise ReactorhostError(what, hint="let the host bind them, or write a socket unit for each service")
        for mode in modes:
            yield f"SocketMode={mode:04o}"
        for owner in owners:
            user, _, group = owner.partition(":")
            if user:
                yield f"SocketUser={user}"
            if group:
                yield f"SocketGroup={group}"

    def _unit(self) -> Iterator[str]:
        addresses = self.settings.addresses()
        yield f"Description=reactorhost {self.settings.name}"
        # An address of one interface can be bound once the interface has it.
        if self.is_root and any(each.host not in _LOCAL_HOSTS for each in addresses):
            yield "Wants=network-online.target"
            yield "After=network-online.target"
        elif self.is_root:
            yield "After=network.target"
        if any(each.scheme == "fd" for each in addresses):
            yield "Requires=%p.socket"

    def _process(self) -> Iterator[str]:
        settings = self.settings
        if self.systemd_version >= RELOADS_BY_NOTIFICATION:
            yield "Type=notify-reload"
        else:
            yield "Type=notify"
            yield "ExecReload=/bin/kill -HUP $MAINPID"
        yield "NotifyAccess=main"
        yield f"ExecStart={' '.join(map(_command_word, self.command))}"
        # A module is imported from there.
        if any(":" in named and not names_a_file(named) for each in settings.services for named in each.plugins):
            yield f"WorkingDirectory={_escaped(str(self.directory))}"
        environment = self._environment_file()
        if environment is not None:
            path, names = environment
            yield f"# NAME=value, one a line, for what the configuration refers to: {', '.join(names)}."
            yield f"EnvironmentFile={_escaped(str(path))}"
        yield from self._directories()
        yield "KillMode=mixed"
        yield "Restart=on-failure"
        yield "RestartSec=1"
        yield f"RestartPreventExitStatus={_FINAL_STATUSES}"
        # Stopped before it was ready.
        yield "SuccessExitStatus=130"
        # The host replaces a worker that the kernel ended.
        yield "OOMPolicy=continue"

    def _environment_file(self) -> tuple[Path, list[str]] | None:
        """Return the file for variables and their names, if the configuration refers to any."""
        names, config = plugin_tables.variables(self.settings.plugin_tables), self.settings.config_file
        return (config.with_suffix(".env"), sorted(names)) if names and config is not None else None

    def _directories(self) -> Iterator[str]:
        runtime = _below(self.settings.run_dir, "/run" if self.is_root else os.environ.get("XDG_RUNTIME_DIR", "/run"))
        if runtime is not None:
            yield f"RuntimeDirectory={_word(runtime)}"
            yield "RuntimeDirectoryMode=0755" if self.is_root else "RuntimeDirectoryMode=0700"
            # Otherwise it is removed between a stop and the start that follows, with what others watch in it.
            yield "RuntimeDirectoryPreserve=restart"
        log_file = self.settings.log_file
        logs = None if log_file is None else _below(log_file.parent, "/var/log")
        if self.is_root and logs is not None:
            yield f"LogsDirectory={_word(logs)}"

    def _limits(self) -> Iterator[str]:
        settings = self.settings
        # The first worker boots alone, the others after it.
        yield f"TimeoutStartSec={math.ceil(2 * settings.boot_timeout) + _SPARE_SECONDS}"
        yield f"TimeoutStopSec={math.ceil(settings.drain_delay + settings.stop_seconds) + _SPARE_SECONDS}"
        if settings.stall_timeout is not None:
            # The host replaces a worker that is stuck, and the next one boots: systemd acts if that does not help.
            yield f"WatchdogSec={math.ceil(2 * settings.stall_timeout + settings.boot_timeout)}"
        # Each client may have a connection to another server.
        yield f"LimitNOFILE={max(_LEAST_DESCRIPTORS, 2 * settings.max_connections + _SPARE_DESCRIPTORS)}"
        # For both families of each address, and a host that was scaled up.
        addresses = sum(2 if each.scheme != "unix" else 1 for service in settings.services for each in service.listen)
        slots = min(MAX_WORKERS, 2 * settings.most_workers)
        most_stored = max(_LEAST_STORED, slots * addresses + 1)
        yield f"FileDescriptorStoreMax={most_stored}"
        if self.systemd_version < _SETS_FDSTORE:
            yield f"Environment=FDSTORE={most_stored}"

    def _restrictions(self) -> Iterator[str]:
        yield _SANDBOX
        if not self.is_root:
            return
        yield _SANDBOX_OF_THE_SYSTEM
        yield f"CapabilityBoundingSet={' '.join(self._capabilities())}"
        used = list(self._used_paths())
        yield f"ProtectHome={'read-only' if any(_is_below(each, _HOMES) for each in used) else 'yes'}"
        if not any(_is_below(each, _TEMPORARY) for each in used):
            yield "PrivateTmp=yes"
        if self.settings.user is None:
            # With another user of the workers the master could not look at them.
            yield "ProtectProc=invisible"
        written = sorted({str(each) for each in self._written_folders()})
        # Which folders they are is not known: an option does not declare that it is a path.
        yield "# Folders that plugins write to belong into ReadWritePaths= too: systemctl edit"
        if written:
            yield f"ReadWritePaths={' '.join(map(_word, written))}"

    def _capabilities(self) -> Iterator[str]:
        settings = self.settings
        if any(each.scheme in ("tcp", "tls", "udp") and 0 < each.port < 1024 for each in settings.addresses()):
            yield "CAP_NET_BIND_SERVICE"
        if settings.user is not None or settings.group is not None:
            yield from ("CAP_SETUID", "CAP_SETGID", "CAP_KILL")
        if any(service.unix_owner for service in settings.services):
            yield from ("CAP_CHOWN", "CAP_FOWNER")
        if any(map(_is_of_another_user, self._written_folders())):
            yield "CAP_DAC_OVERRIDE"

    def _written_folders(self) -> Iterator[Path]:
        """Yield the folders that the host writes to, except those that systemd makes for it."""
        settings = self.settings
        if _below(settings.run_dir, "/run") is None:
            yield settings.run_dir
        if settings.pid_file.parent != settings.run_dir:
            yield settings.pid_file.parent
        if settings.log_file is not None and _below(settings.log_file.parent, "/var/log") is None:
            yield settings.log_file.parent
        for address in settings.addresses():
            if address.scheme == "unix" and not address.is_abstract:
                folder = Path(address.path).parent
                if not folder.is_relative_to(settings.run_dir):
                    yield folder

    def _used_paths(self) -> Iterator[Path]:
        """Yield files and folders that the host needs, as far as the settings name them."""
        settings = self.settings
        yield from map(Path, (sys.prefix, sys.base_prefix, self.command[0]))
        yield from self._written_folders()
        if settings.config_file is not None:
            yield settings.config_file
        for service in settings.services:
            if service.tls is not None:
                yield from (*service.tls.certificates, *service.tls.keys)
            yield from (Path(named) for named in service.plugins if names_a_file(named))
            if any(":" in named and not names_a_file(named) for named in service.plugins):
                yield self.directory


def _listen(address: Address) -> Iterator[str]:
    if address.scheme == "fd" or (address.scheme != "unix" and not address.port):
        what = f"{address} does not say where a socket unit has to listen"
        raise ReactorhostError(what, hint="use addresses with a port or a path; the host finds their sockets by them")
    key = "ListenDatagram" if address.scheme == "udp" else "ListenStream"
    if address.scheme == "unix":
        yield f"{key}={_escaped(address.path)}"
        return
    for _, sockaddr in bind.resolve(address):
        host = f"[{sockaddr[0]}]" if ":" in sockaddr[0] else sockaddr[0]
        yield f"{key}={_escaped(host)}:{address.port}"


def _absolute_path(value: object) -> Path | None:
    """Return the absolute path that the value of an option seems to be."""
    text = value.text if isinstance(value, plugin_tables.OptionText) else value
    if not isinstance(text, str) or not text.startswith("/"):
        return None
    path = Path(text)
    # Otherwise it may be a part of a URL.
    return path if len(path.parts) > 1 and Path("/", path.parts[1]).is_dir() else None


def _below(path: Path, base: str) -> str | None:
    """Return a path relative to a folder, or None if it is not in it."""
    try:
        relative = str(path.relative_to(base))
    except ValueError:
        return None
    return None if relative == "." else relative


def _is_below(path: Path, folders: Sequence[str]) -> bool:
    # Of a program in a virtual environment the interpreter may be a link into a home.
    return any(each.is_relative_to(folder) for folder in folders for each in (path, Path(os.path.realpath(path))))


def _is_of_another_user(folder: Path) -> bool:
    try:
        status = os.stat(folder)
    except OSError:
        return False
    return status.st_uid != 0 and not status.st_mode & stat.S_IWOTH


def _escaped(text: str) -> str:
    """Return text for a value of a unit, in which `%` begins a specifier."""
    return text.replace("%", "%%")


def _word(text: str) -> str:
    """Return one word of a list of words (systemd.syntax(7))."""
    escaped = _escaped(text)
    if escaped and not any(character in escaped for character in " \t\"'\\;"):
        return escaped
    return '"' + escaped.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _command_word(text: str) -> str:
    # In a command `$` begins a variable.
    return _word(text.replace("$", "$$"))


def _text(sections: Sequence[tuple[str, Iterator[str] | Sequence[str]]]) -> str:
    return "\n\n".join("\n".join((f"[{name}]", *lines)) for name, lines in sections)
