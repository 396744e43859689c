"""Bans of all workers: exchanged by the bus, taken from its history, kept in a folder, and changed by commands."""

from __future__ import annotations

import json
import os
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import reactorhost_echo
from reactorhost import CloseReason, Worker
from reactorhost.testing import HostFailedError, PluginBench
from reactorhost_guard import Guard, commands
from reactorhost_guard.bans import Ban, decoded, encoded, lifting
from reactorhost_guard.notation import network
from reactorhost_guard.state_dir import StateDir

HOST = "203.0.113.7"
PEER = (HOST, 4000)
NEIGHBOUR = ("203.0.113.8", 4000)
BANS = "guard:bans"

Guarded = Callable[..., PluginBench]


@pytest.fixture
def guarded(plugin_bench: Callable[..., PluginBench]) -> Guarded:
    """Return a function that starts an echo with a guard and its options."""
    return lambda plugin=Guard, **options: plugin_bench(plugin, reactorhost_echo, options={"Guard": options})


def refuses(bench: PluginBench, peer: tuple[str, int] = PEER) -> bool:
    client = bench.connect(peer)
    return client.refused or client.closed is CloseReason.LOCAL


def ban(text: str, seconds: float = 60.0) -> Ban:
    return Ban(network(text), time.time(), time.time() + seconds)


def test_a_ban_is_published_and_kept_in_a_history(guarded: Guarded) -> None:
    bench = guarded(connects="1/h burst 1", ban_after=1)
    bench.connect(PEER)
    assert not bench.bus.published
    bench.connect(PEER)
    ((_, data),) = bench.bus.published
    assert bench.bus.published == bench.bus.sent == [(BANS, data)]
    (found,) = decoded(data)
    assert (str(found.network[0]), found.reason, found.until - found.decided_at) == (HOST, "connects", 60.0)


@pytest.mark.parametrize("text", [HOST, "203.0.113.0/24", "203.0.113.7/32", "::ffff:203.0.113.7"])
def test_a_ban_of_another_worker_ends_the_connections_and_a_lifting_ends_the_ban(guarded: Guarded, text: str) -> None:
    bench = guarded()
    client, other = bench.connect(PEER), bench.connect(("198.51.100.1", 1))
    record = ban(text)
    bench.bus.publish(BANS, encoded([record]))
    assert client.closed is CloseReason.LOCAL
    assert other.closed is None
    assert refuses(bench)
    assert refuses(bench, NEIGHBOUR) is text.endswith("/24")
    bench.bus.publish(BANS, encoded([lifting(network(text), record, time.time())]))
    assert not refuses(bench)


def test_only_the_leader_counts_the_bans(guarded: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = guarded()
    bench.bus.publish(BANS, encoded([ban(HOST)]))
    assert bench.stats("Guard")["banned"] == 1
    monkeypatch.setattr(Worker, "leader", False)
    assert bench.stats("Guard")["banned"] == 0


def test_clients_in_allow_are_not_banned(guarded: Guarded) -> None:
    bench = guarded(allow=[HOST])
    client = bench.connect(PEER)
    bench.bus.publish(BANS, encoded([ban("203.0.113.0/24")]))
    assert client.closed is None
    assert not refuses(bench)


def test_counts_are_published_each_second_and_those_of_another_worker_are_taken(guarded: Guarded) -> None:
    first = guarded(connects="1/h burst 10", ban_after=0)
    for _ in range(8):
        first.connect(PEER)
    first.advance(1.0)
    ((topic, data),) = first.bus.published
    assert topic == "guard:counts"
    first.advance(10.0)
    assert len(first.bus.published) == 1
    second = guarded(connects="1/h burst 10", ban_after=0)
    second.bus.publish(topic, data)
    assert [refuses(second) for _ in range(4)] == [False, False, True, True]


def test_the_file_has_the_bans_of_the_host_that_stopped(guarded: Guarded, tmp_path: Path) -> None:
    folder = tmp_path / "made" / "guard"
    bench = guarded(connects="1/h burst 1", ban_after=1, state_dir=str(folder))
    bench.connect(PEER)
    bench.connect(PEER)
    bench.stop()
    assert [each.network for each in StateDir(folder).load()] == [network(HOST)]
    assert [path.name for path in folder.iterdir()] == ["bans.json"]
    assert refuses(guarded(state_dir=str(folder)))


def test_the_file_is_written_within_seconds_and_not_without_a_change(guarded: Guarded, tmp_path: Path) -> None:
    bench = guarded(connects="1/h burst 1", ban_after=1, state_dir=str(tmp_path))
    bench.connect(PEER)
    bench.connect(PEER)
    bench.advance(2.0)
    (tmp_path / "bans.json").unlink()
    bench.advance(10.0)
    assert not list(tmp_path.iterdir())
    bench.bus.publish(BANS, encoded([ban("198.51.100.1")]))
    bench.advance(2.0)
    assert len(StateDir(tmp_path).load()) == 2
    bench.stop()
    later = guarded(state_dir=str(tmp_path))
    (tmp_path / "bans.json").unlink()
    later.advance(10.0)
    assert not list(tmp_path.iterdir())


def test_after_a_long_write_the_file_waits_and_a_request_does_not(guarded: Guarded, tmp_path: Path) -> None:
    plugin = Guard()
    bench = guarded(plugin, state_dir=str(tmp_path))
    plugin._bans._rests_until = plugin._bans._worker.now() + 10.0
    bench.bus.publish(BANS, encoded([ban("198.51.100.1")]))
    bench.advance(8.0)
    assert not list(tmp_path.iterdir())
    StateDir(tmp_path).request(ban(HOST))
    bench.advance(1.0)
    assert len(StateDir(tmp_path).load()) == 2


@pytest.mark.parametrize(("content", "reason"), [(b"{", "not a list of bans"), (None, "Is a directory")])
def test_a_folder_that_cannot_be_used_fails_the_start(
    guarded: Guarded, tmp_path: Path, content: bytes | None, reason: str
) -> None:
    path = tmp_path / "bans.json"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    with pytest.raises((HostFailedError, ValueError), match=f"the folder {tmp_path} cannot be used: .*{reason}"):
        guarded(state_dir=str(tmp_path))


def test_a_folder_that_cannot_be_written_is_logged_and_tried_again(
    guarded: Guarded, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "guard"
    bench = guarded(connects="1/h burst 1", ban_after=1, state_dir=str(folder))
    bench.connect(PEER)
    bench.connect(PEER)
    (folder / "bans.json").mkdir()
    bench.advance(3.0)
    assert [line.split()[0] for line in caplog.messages].count("guard_not_saved") == 1
    (folder / "bans.json").rmdir()
    bench.advance(2.0)
    assert len(StateDir(folder).load()) == 1


def test_a_folder_that_is_removed_is_logged_and_nothing_else_happens(
    guarded: Guarded, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "guard"
    bench = guarded(connects="1/h burst 1", ban_after=1, state_dir=str(folder))
    folder.rmdir()
    bench.connect(PEER)
    bench.connect(PEER)
    bench.advance(61.0)
    lines = [line for line in caplog.messages if line.startswith("guard_not_saved")]
    assert len(lines) == 2
    assert "No such file or directory" in lines[0]


def test_a_file_is_replaced_as_a_whole_and_others_may_read_it(tmp_path: Path) -> None:
    folder = StateDir(tmp_path)
    folder.save([ban(HOST)])
    before = (tmp_path / "bans.json").stat()
    folder.save([])
    after = (tmp_path / "bans.json").stat()
    assert before.st_ino != after.st_ino
    assert after.st_mode & 0o777 == 0o644
    assert folder.load() == []


class Operator:
    """Runs a command of the guard while the clock of a bench goes on."""

    def __init__(self, folder: Path, bench: PluginBench | None = None) -> None:
        self.bench = bench
        self.config = {"state_dir": str(folder)}

    def __call__(self, *arguments: str) -> Result:
        import click

        cli = click.Group()
        commands.add(cli)
        results: list[Result] = []
        thread = threading.Thread(
            target=lambda: results.append(CliRunner().invoke(cli, arguments, obj=self.config)), daemon=True
        )
        thread.start()
        while thread.is_alive():
            thread.join(0.01)
            if self.bench is not None:
                self.bench.advance(1.0)
        return results[0]


@pytest.fixture
def operator(guarded: Guarded, tmp_path: Path) -> Operator:
    return Operator(tmp_path, guarded(state_dir=str(tmp_path)))


def test_a_ban_by_command_is_in_force_when_the_command_returns(operator: Operator) -> None:
    bench = operator.bench
    assert bench
    client = bench.connect(PEER)
    result = operator("ban", "203.0.113.0/24", "--for", "2h")
    assert (result.exit_code, result.output) == (0, "banned 203.0.113.0/24 for 2h\n")
    assert client.closed is CloseReason.LOCAL
    assert refuses(bench)
    assert bench.bus.published == bench.bus.sent
    listed = operator("bans")
    assert listed.output.split() == ["203.0.113.0/24", *listed.output.split()[1:3], "operator"]
    assert json.loads(operator("bans", "--json").output)["network"] == "203.0.113.0/24"
    result = operator("unban", "203.0.113.0/24")
    assert (result.exit_code, result.output) == (0, "unbanned 203.0.113.0/24\n")
    assert not refuses(bench)
    assert operator("bans").output == ""


def test_only_what_is_banned_is_unbanned(operator: Operator) -> None:
    operator("ban", "203.0.113.0/24")
    result = operator("unban", HOST)
    assert (result.exit_code, result.output) == (
        1,
        f"Error: {HOST} is not banned; it is in 203.0.113.0/24, which is\n",
    )
    assert operator("unban", "198.51.100.1").output == "Error: 198.51.100.1 is not banned\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("ban", "x"), "'x' is not an address or a network"),
        (("ban", HOST, "--for", "1w"), "it must be a duration above 0"),
        (("unban", "203.0.113.7/24"), "has host bits set"),
    ],
)
def test_a_wrong_argument_is_refused(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    result = Operator(tmp_path)(*arguments)
    assert result.exit_code == 2
    assert message in result.output
    assert not list(tmp_path.iterdir())


def test_an_unban_lasts_as_long_as_any_copy_of_the_ban(operator: Operator, tmp_path: Path) -> None:
    bench = operator.bench
    assert bench
    record = ban(HOST, 3600.0)
    bench.bus.publish(BANS, encoded([record]))
    # The command did not know of the ban.
    StateDir(tmp_path).request(lifting(network(HOST), None, time.time()))
    bench.advance(2.0)
    (found,) = StateDir(tmp_path).load()
    assert (found.lifted, found.until) == (True, record.until)


def test_bans_that_have_no_effect_any_more_are_forgotten(guarded: Guarded) -> None:
    plugin = Guard()
    bench = guarded(plugin, ban_memory="10s")
    bench.bus.publish(BANS, encoded([ban(HOST)]))
    bench.advance(30.0)
    assert not plugin._bans.is_empty
    bench.advance(100.0)
    assert plugin._bans.is_empty


def test_without_a_host_a_request_is_left_for_its_start(
    guarded: Guarded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "WAIT_SECONDS", 0.0)
    result = Operator(tmp_path)("ban", HOST)
    assert result.exit_code == 1
    assert "no host has carried it out within 0 s\n  hint: it does when it runs" in result.output
    bench = guarded(state_dir=str(tmp_path))
    bench.advance(1.0)
    assert refuses(bench)


def test_a_request_is_carried_out_once_although_the_bans_cannot_be_written(
    guarded: Guarded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = guarded(state_dir=str(tmp_path))
    (tmp_path / "bans.json").mkdir()
    monkeypatch.setattr(commands, "WAIT_SECONDS", 0.0)
    assert Operator(tmp_path)("ban", HOST).exit_code == 1
    bench.advance(5.0)
    assert refuses(bench)
    assert len(bench.bus.published) == 1
    (tmp_path / "bans.json").rmdir()
    bench.advance(2.0)
    assert [path.name for path in tmp_path.iterdir()] == ["bans.json"]
    assert len(bench.bus.published) == 1


def test_a_malformed_request_is_removed(operator: Operator, tmp_path: Path) -> None:
    path = tmp_path / "request-x"
    path.write_bytes(b"x")
    assert operator.bench
    operator.bench.advance(2.0)
    assert not path.exists()


@pytest.mark.parametrize("kind", ["folder", "pipe", "unreadable"])
def test_a_request_that_cannot_be_read_holds_nothing_up(
    operator: Operator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    path = tmp_path / "request-x"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        read = Path.read_bytes
        path.write_bytes(b"[]")

        def refuse(each: Path) -> bytes:
            if each == path:
                raise PermissionError(f"no permission to read {each}")
            return read(each)

        monkeypatch.setattr(Path, "read_bytes", refuse)
    assert operator("ban", HOST).exit_code == 0
    assert operator.bench
    assert refuses(operator.bench)
    assert path.exists()


@pytest.mark.parametrize(
    ("state_dir", "message"),
    [
        (
            None,
            (
                "Error: plugin guard has no state_dir\n  hint: set it under [plugin.guard], and name the file: "
                "reactorhost guard --config FILE bans\n"
            ),
        ),
        ("relative", "Error: 'state_dir' of plugin guard: it must be an absolute path, not 'relative'\n"),
        ("/missing/folder", "Error: there is no folder /missing/folder\n  hint: the host creates it when it starts\n"),
    ],
)
def test_without_a_folder_there_are_no_commands(tmp_path: Path, state_dir: str | None, message: str) -> None:
    operator = Operator(tmp_path)
    operator.config["state_dir"] = state_dir  # type: ignore[assignment]  # as an option without a value
    for arguments in (("bans",), ("ban", HOST), ("unban", HOST)):
        result = operator(*arguments)
        assert (result.exit_code, result.output) == (1, message)


def test_a_folder_that_a_command_cannot_write_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError("Permission denied")

    monkeypatch.setattr(tempfile, "mkstemp", refuse)
    result = Operator(tmp_path)("ban", HOST)
    assert (result.exit_code, result.output) == (1, f"Error: cannot write to {tmp_path}: Permission denied\n")
