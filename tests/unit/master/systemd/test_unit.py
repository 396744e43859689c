"""The units that are printed: what systemd accepts, and what the host needs with its settings."""

from __future__ import annotations

import math
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from reactorhost.config.resolve import resolve
from reactorhost.errors import ReactorhostError
from reactorhost.master.systemd.unit import RELOADS_BY_NOTIFICATION, UnitPlan

needs_systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
NEW, OLD = RELOADS_BY_NOTIFICATION, RELOADS_BY_NOTIFICATION - 1


def plan(
    *listen: str, version: int = OLD, root: bool = True, command: tuple[str, ...] = (sys.executable,), **flags: Any
) -> UnitPlan:
    given = {"plugins": ("echo",), "name": "chat", "listen": listen or ("tcp://127.0.0.1:9000",), **flags}
    settings = resolve(given, {}, Path("/srv"), uid=0)
    return UnitPlan(settings, command, Path("/srv"), version, root)


def values(text: str, key: str) -> list[str]:
    return [line.partition("=")[2] for line in text.splitlines() if line.startswith(f"{key}=")]


def value(text: str, key: str) -> str:
    (found,) = values(text, key)
    return found


def verify(text: str, path: Path) -> str:
    """Return what `systemd-analyze verify` says of a unit."""
    path.write_text(text)
    done = subprocess.run(["systemd-analyze", "verify", path], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr + ("" if done.returncode == 0 else f"exit status {done.returncode}")


STRANGE = ("a b", "100%", "$HOME", 'say "hi"', "back\\slash", "it's", "a;b", "{x}", "#1")


@needs_systemd
@pytest.mark.parametrize(
    "unit",
    [
        plan(),
        plan(root=False),
        plan("tcp://*:443", "unix:///run/chat/x.sock", user="nobody", unix_owner="nobody:nogroup", stall_timeout="0"),
        plan(command=(sys.executable, *STRANGE), log_file="/var/log/a b/100%.log", pid_file="/srv/a b/100%/pid"),
    ],
    ids=["default", "user", "root", "strange names"],
)
def test_systemd_accepts_the_service(unit: UnitPlan, tmp_path: Path) -> None:
    assert verify(unit.service(), tmp_path / "chat.service") == ""


@needs_systemd
def test_systemd_accepts_the_socket(tmp_path: Path) -> None:
    (tmp_path / "chat.service").write_text(plan().service())
    unit = plan("tcp://*:443", "udp://[::1]:53", "unix:///run/a b/100%.sock", "unix://@chat", unix_mode="0660")
    assert verify(unit.socket(), tmp_path / "chat.socket") == ""


@needs_systemd
@pytest.mark.parametrize("flags", [{}, {"user": "nobody"}])
def test_systemd_rates_the_service_as_well_protected(flags: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "chat.service"
    path.write_text(plan("tcp://*:443", **flags).service())
    # From 0 to 100; what has no restriction has 96.
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=35", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "unrecognized option" in done.stderr:
        pytest.skip("this version cannot rate a file")
    assert done.returncode == 0, done.stdout


def test_a_word_of_a_command_stays_as_it_is() -> None:
    text = plan(command=("/bin/x", *STRANGE, "plain-word_1:/.")).service()
    assert value(text, "ExecStart") == (
        r'/bin/x "a b" 100%% $$HOME "say \"hi\"" "back\\slash" "it' + "'" + r's" "a;b" {x} #1 plain-word_1:/.'
    )


def test_reloads_are_requested_as_the_version_of_systemd_allows() -> None:
    new, old = plan(version=NEW).service(), plan(version=OLD).service()
    assert (value(new, "Type"), values(new, "ExecReload")) == ("notify-reload", [])
    assert (value(old, "Type"), value(old, "ExecReload")) == ("notify", "/bin/kill -HUP $MAINPID")


def test_the_run_directory_of_systemd_is_the_one_of_the_host() -> None:
    unit = plan()
    text = unit.service()
    assert Path("/run", value(text, "RuntimeDirectory")) == unit.settings.run_dir
    assert values(text, "ReadWritePaths") == []


def test_time_limits_are_longer_than_those_of_the_host() -> None:
    unit = plan(stop_timeout="20", drain_delay="15", boot_timeout="40", stall_timeout="50")
    text = unit.service()
    assert int(value(text, "TimeoutStopSec")) > 20 + 15
    assert int(value(text, "TimeoutStartSec")) > 2 * 40
    assert int(value(text, "WatchdogSec")) >= 2 * 50 + 40
    assert values(plan(stall_timeout="0").service(), "WatchdogSec") == []


def test_a_killed_worker_and_a_stop_before_the_host_is_ready_are_no_failures_of_the_service() -> None:
    text = plan().service()
    assert (value(text, "OOMPolicy"), value(text, "KillMode")) == ("continue", "mixed")
    assert value(text, "SuccessExitStatus") == "130"
    assert value(text, "RestartPreventExitStatus") == "2 4 6 7 8"


@pytest.mark.parametrize(
    ("listen", "flags", "expected"),
    [
        (("tcp://127.0.0.1:9000",), {}, set()),
        (("tcp://*:443",), {}, {"CAP_NET_BIND_SERVICE"}),
        (("udp://*:53",), {}, {"CAP_NET_BIND_SERVICE"}),
        (("tcp://*:0", "unix:///run/reactorhost/chat/443"), {}, set()),
        (("tcp://*:9000",), {"admin": "tcp://127.0.0.1:99"}, {"CAP_NET_BIND_SERVICE"}),
        (("tcp://*:9000",), {"user": "nobody"}, {"CAP_SETUID", "CAP_SETGID", "CAP_KILL"}),
        (("unix:///run/x",), {"unix_owner": "nobody"}, {"CAP_CHOWN", "CAP_FOWNER"}),
    ],
)
def test_the_host_has_the_capabilities_that_its_settings_need(
    listen: tuple[str, ...], flags: dict[str, Any], expected: set[str]
) -> None:
    assert set(value(plan(*listen, **flags).service(), "CapabilityBoundingSet").split()) == expected


def test_folders_that_the_host_writes_to_are_writable() -> None:
    unit = plan(
        "unix:///srv/a b/x.sock",
        "unix://@chat",
        log_file="/srv/log/chat.log",
        pid_file="/srv/pids/100%",
        run_dir="/srv/r",
    )
    text = unit.service()
    assert value(text, "ReadWritePaths") == '"/srv/a b" /srv/log /srv/pids /srv/r'
    assert values(text, "RuntimeDirectory") == []
    logged = plan(log_file="/var/log/chat/chat.log").service()
    assert (value(logged, "LogsDirectory"), values(logged, "ReadWritePaths")) == ("chat", [])


def configured(tmp_path: Path, text: str, *, root: bool = True, **flags: Any) -> UnitPlan:
    """Return the plan for a configuration file."""
    file = tmp_path / "100%.toml"
    file.write_text(text)
    return plan(root=root, config=str(file), **flags)


@pytest.mark.parametrize("root", [True, False])
def test_variables_of_the_configuration_are_read_from_a_file_beside_it(root: bool, tmp_path: Path) -> None:
    unit = configured(tmp_path, '[plugin.echo]\nb = { env = "B" }\na = { env = "A" }\nc = { file = "c" }\n', root=root)
    assert value(unit.service(), "EnvironmentFile") == f"{tmp_path}/100%%.env"
    assert any(line.startswith("#") and line.endswith(": A, B.") for line in unit.service().splitlines())
    assert unit.missing_variables() == (tmp_path / "100%.env", ["A", "B"])
    (tmp_path / "100%.env").touch()
    assert unit.missing_variables() is None


def test_without_variables_there_is_no_file_for_them(tmp_path: Path) -> None:
    unit = configured(tmp_path, '[plugin.echo]\nc = { file = "c" }\n')
    assert values(unit.service(), "EnvironmentFile") == []
    assert unit.missing_variables() is None


def test_options_that_are_paths_to_which_plugins_cannot_write_are_found(tmp_path: Path) -> None:
    text = (
        '[plugin.echo]\nstate_dir = "/var/lib/chat"\nlog = "/var/log/chat/access"\nsocket = "/run/reactorhost/chat/x"\n'
        'scratch = "/tmp/x"\nroute = "/no-such-folder/x"\nroot = "/"\nrelative = "x"\nmany = 5\n'
    )
    flags: dict[str, Any] = {"log_file": "/var/log/chat/host.log", "set": ("echo.file=/srv/data",)}
    assert configured(tmp_path, text, **flags).unwritable_options() == ["echo.state_dir", "echo.file"]
    assert configured(tmp_path, text, root=False, **flags).unwritable_options() == []


@pytest.mark.parametrize(
    ("flags", "home", "temporary"),
    [
        ({}, "yes", ["yes"]),
        ({"plugins": ("/home/me/chat.py",)}, "read-only", ["yes"]),
        ({"plugins": ("/tmp/chat.py",)}, "yes", []),
        ({"log_file": "/root/chat.log"}, "read-only", ["yes"]),
    ],
)
def test_files_in_homes_and_temporary_folders_stay_reachable(
    monkeypatch: pytest.MonkeyPatch, flags: dict[str, Any], home: str, temporary: list[str]
) -> None:
    monkeypatch.setattr(sys, "prefix", "/usr")
    monkeypatch.setattr(sys, "base_prefix", "/usr")
    text = plan(command=("/usr/bin/env",), **flags).service()
    assert (value(text, "ProtectHome"), values(text, "PrivateTmp")) == (home, temporary)


def test_a_module_is_imported_from_the_directory_of_the_start() -> None:
    assert value(plan(plugins=("module:object",)).service(), "WorkingDirectory") == "/srv"
    assert values(plan().service(), "WorkingDirectory") == []


@pytest.mark.parametrize(
    ("listen", "after"),
    [
        ("tcp://*:9000", "network.target"),
        ("tcp://127.0.0.1:9000", "network.target"),
        ("tcp://192.0.2.1:9000", "network-online.target"),
    ],
)
def test_an_address_of_an_interface_waits_for_it(listen: str, after: str) -> None:
    assert value(plan(listen).service(), "After") == after


def test_a_host_that_needs_passed_sockets_requires_their_unit() -> None:
    assert value(plan("fd://web").service(), "Requires") == "%p.socket"


@pytest.mark.parametrize("workers", ["100", "2-100"])
def test_the_store_has_room_for_the_sockets_of_all_slots(workers: str) -> None:
    text = plan("tcp://*:1", "tcp://*:2", workers=workers).service()
    assert int(value(text, "FileDescriptorStoreMax")) >= 100 * 4 + 1


@pytest.mark.parametrize(("version", "variables"), [(253, ["FDSTORE=64"]), (254, [])])
def test_the_host_learns_of_the_store_from_a_variable(version: int, variables: list[str]) -> None:
    text = plan(version=version).service()
    assert (value(text, "FileDescriptorStoreMax"), values(text, "Environment")) == ("64", variables)


def test_a_socket_unit_binds_each_address() -> None:
    text = plan("tcp://*:443", "udp://127.0.0.1:53", "unix:///run/x", "unix://@y", unix_owner="a:b").socket()
    assert values(text, "ListenStream") == ["0.0.0.0:443", "[::]:443", "/run/x", "@y"]
    assert values(text, "ListenDatagram") == ["127.0.0.1:53"]
    assert (value(text, "BindIPv6Only"), value(text, "SocketUser"), value(text, "SocketGroup")) == (
        "ipv6-only",
        "a",
        "b",
    )


@pytest.mark.parametrize("listen", ["tcp://127.0.0.1:0", "fd://web"])
def test_an_address_without_a_place_has_no_socket_unit(listen: str) -> None:
    with pytest.raises(ReactorhostError, match="does not say where"):
        plan(listen).socket()


def test_times_are_whole_seconds() -> None:
    text = plan(boot_timeout="1.5", stop_timeout="0.7", stall_timeout="1.3").service()
    assert all(math.isfinite(int(value(text, key))) for key in ("TimeoutStartSec", "TimeoutStopSec", "WatchdogSec"))
