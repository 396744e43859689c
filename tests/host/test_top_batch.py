"""`reactorhost top` without a terminal, and its recordings."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from daemons import run
from documents import document, history
from reactorhost.testing import DEADLINE_SECONDS, LiveHost
from screens import KEY_LINE, ScreenProgram, reactorhost, row_of, top

Hosts = Callable[..., LiveHost]


def test_once_prints_plain_tables(live_host: Hosts) -> None:
    host = live_host("--plugin", "accesslog", "--plugin", "echo", "--workers", "2")
    shown = host.command("top", "--once")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "\x1b" not in shown.stdout
    for text in ("2/2 ready", "total", "master", "HOOK CHAIN", "LISTENER", "EVENTS", "host ready, 2 workers"):
        assert text in shown.stdout
    chosen = host.command("top", "--once", "--columns", "cpu,p999", "--sort", "cpu", "--filter", "slot 1")
    assert "P99.9" in chosen.stdout
    assert f" {host.workers()[0]['pid']} " not in chosen.stdout


def test_once_prints_the_document_in_json(echo_host: LiveHost) -> None:
    shown = json.loads(echo_host.command("top", "--once", "--json").stdout)
    assert set(shown) == set(echo_host.status())


def test_without_a_terminal_batch_lines_are_printed(echo_host: LiveHost) -> None:
    shown = echo_host.command("top", "-d", "0.1", "-n", "21")
    assert (shown.returncode, shown.stderr) == (0, "")
    lines = shown.stdout.splitlines()
    assert len(lines) == 23
    assert [at for at, line in enumerate(lines) if line.startswith("TIME")] == [0, 21]
    assert all("1/1" in line for line in lines if not line.startswith("TIME"))
    assert len({len(line) for line in lines}) == 1


@pytest.mark.parametrize("environment", [{"TERM": "dumb"}, {"TERM": ""}])
def test_on_a_dumb_terminal_batch_lines_are_printed(echo_host: LiveHost, environment: dict[str, str]) -> None:
    with top(echo_host, "-n", "2", "-d", "0.1", environment=environment) as screen:
        assert screen.wait() == 0
        assert b"\x1b" not in screen.written


def test_force_color_does_not_make_a_pipe_a_terminal(echo_host: LiveHost) -> None:
    shown = run(
        "top",
        "-n",
        "1",
        "--run-dir",
        str(echo_host.run_dir),
        environment={"FORCE_COLOR": "1", "TERM": "xterm-256color"},
    )
    assert shown.returncode == 0
    assert "\x1b[?" not in shown.stdout


def test_json_lines_are_status_documents(echo_host: LiveHost) -> None:
    shown = echo_host.command("top", "--json", "-n", "2", "-d", "0.1")
    made = [json.loads(line) for line in shown.stdout.splitlines()]
    assert [each["pid"] for each in made] == [echo_host.pid] * 2
    assert made[0]["time"] < made[1]["time"]
    assert (made[0]["history"] is None, made[1]["history"] is None) == (False, True)


def test_batch_lines_continue_when_the_host_is_back(live_host: Hosts, tmp_path: Path) -> None:
    host = live_host("--plugin", "echo", "--workers", "1")
    recording = tmp_path / "recording"
    with ScreenProgram(
        reactorhost("top", "-b", "-d", "0.1", "--record", str(recording), "--run-dir", str(host.run_dir))
    ) as screen:
        screen.until_text("1/1")
        assert host.stop() == 0
        screen.until_text("the host is gone, trying to reconnect")
        host.process.stdout.close()  # type: ignore[union-attr]  # it is a pipe
        host.start()
        screen.until(lambda seen: "1/1" in "".join(seen).partition("the host is back")[2], "a line after it")
        screen.type(b"\x03")
        assert screen.wait() == 130
    pids = {json.loads(line)["document"]["pid"] for line in recording.read_text().splitlines()}
    assert len(pids) == 2


def test_once_and_batch_without_a_host_exit_with_status_5(tmp_path: Path) -> None:
    assert run("top", "--once", "--run-dir", str(tmp_path / "none")).returncode == 5
    assert run("top", "-n", "1", "--run-dir", str(tmp_path / "none")).returncode == 5


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [(("--columns", "cpuu"), "did you mean 'cpu'?"), (("--sort", "lagg"), "did you mean 'lag'?"), (("-n", "0"), "")],
)
def test_a_wrong_option_exits_with_status_2_and_a_hint(tmp_path: Path, arguments: tuple[str, ...], hint: str) -> None:
    ended = run("top", *arguments, "--run-dir", str(tmp_path))
    assert ended.returncode == 2
    assert hint in ended.stderr


# Recordings.


def test_a_recording_is_played(echo_host: LiveHost, tmp_path: Path) -> None:
    recording = str(tmp_path / "recording")
    assert echo_host.command("top", "-n", "3", "-d", "0.2", "--record", recording).returncode == 0
    records = [json.loads(line) for line in Path(recording).read_text().splitlines()]
    assert len(records) == 3
    assert records[0]["at"] == 0
    # An answer that comes late does not delay the next request.
    assert 0.2 <= records[2]["at"] < DEADLINE_SECONDS
    shown = run("top", "--replay", recording, "--speed", "100")
    assert (shown.returncode, len(shown.stdout.splitlines())) == (0, 4)
    once = run("top", "--replay", recording, "--once", "--json")
    assert json.loads(once.stdout) == records[2]["document"]
    with ScreenProgram(reactorhost("top", "--replay", recording, "--speed", "50")) as screen:
        lines = screen.until_text("end of replay", KEY_LINE)
        assert str(echo_host.pid) in row_of(lines, "master")
        assert "reload" not in lines[-1]
        screen.type("q")
        assert screen.wait() == 0


def test_a_recording_is_played_at_the_requested_speed(tmp_path: Path) -> None:
    recording = tmp_path / "recording"
    made = document(2, history=history())
    recording.write_text("".join(json.dumps({"at": at, "document": made}) + "\n" for at in (0.0, 1.0, 2.0)))
    began = time.monotonic()
    shown = run("top", "--replay", str(recording), "--speed", "4")
    assert len(shown.stdout.splitlines()) == 4
    assert time.monotonic() - began >= 0.5


@pytest.mark.parametrize("content", ["{}\n", "nonsense\n", '{"at": 0, "document": {"schema": 99}}\n'])
def test_a_file_that_is_not_a_recording_is_rejected_with_its_line(tmp_path: Path, content: str) -> None:
    recording = tmp_path / "recording"
    recording.write_text(content)
    ended = run("top", "--replay", str(recording))
    assert ended.returncode == 1
    assert f"where: {recording}:1" in ended.stderr


def test_a_recording_that_cannot_be_written_fails_before_any_output(echo_host: LiveHost, tmp_path: Path) -> None:
    ended = echo_host.command("top", "-n", "1", "--record", str(tmp_path / "none" / "recording"))
    assert ended.returncode == 1
    assert "cannot record to" in ended.stderr
    assert ended.stdout == ""
