"""`reactorhost top`: its screen and keys, a host that ends and comes back, the restored terminal, batch mode."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from clients import answers
from daemons import run
from documents import document, history
from gates import Gate
from kernel import is_stopped
from load import Load
from reactorhost.testing import DEADLINE_SECONDS, LiveHost
from screens import ENTER, LEAVE, ScreenProgram, reactorhost
from waiting import until

Hosts = Callable[..., LiveHost]
KEY_LINE = "q quit"


def top(
    host: LiveHost,
    *arguments: str,
    columns: int = 120,
    rows: int = 40,
    environment: dict[str, str] | None = None,
) -> ScreenProgram:
    command = reactorhost("top", "--run-dir", str(host.run_dir), *arguments)
    return ScreenProgram(command, columns, rows, environment)


def row_of(lines: list[str], text: str) -> str:
    return next(line for line in lines if text in line)


# The screen.


def test_a_host_under_load_is_shown_with_its_history(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "2")
    with Load(host.address()), host.connect() as client:
        assert answers(client)
        host.until(lambda status: status["rates"]["messages"] > 0 and status["totals"]["messages"] > 100)
        with top(host) as screen:
            lines = screen.until_text("HOOK CHAIN", "host ready, 2 workers", KEY_LINE)
            assert f"tcp://127.0.0.1:{host.address()[1]} · echo · gen 1 · 2/2 ready" in lines[0]
            assert re.search(r"msgs/s +[\d.]+K? .*[▁-█]", lines[1])
            assert row_of(lines, "total")
            assert re.match(rf"{host.pid} .* master ", row_of(lines, "master"))
            for worker in host.workers():
                assert re.search(rf"[├└]─ {worker['pid']} .* (ready|leader) ", row_of(lines, f" {worker['pid']} "))
            screen.until(lambda seen: re.search(r"rx/s +[1-9]", seen[2]), "a rate")
            screen.type("q")
            assert screen.wait() == 0
            assert screen.is_restored()


@pytest.mark.parametrize(("columns", "rows"), [(120, 40), (80, 24), (40, 10), (20, 3), (3, 2), (1, 1)])
def test_a_screen_of_any_size_is_filled_and_restored(live_host: Hosts, columns: int, rows: int) -> None:
    host = live_host("--plugin", "echo", "--workers", "1")
    with top(host, columns=columns, rows=rows) as screen:
        lines = screen.until(lambda seen: seen[0].startswith("reactorhost"[: max(columns - 1, 0)]) and seen[0])
        if columns >= 40:
            assert "PID" in "".join(screen.until_text(KEY_LINE))
        assert len(lines) == rows
        screen.type("q")
        assert screen.wait() == 0
        assert screen.is_restored()


def test_a_resized_screen_is_filled_without_a_key(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "1")
    with top(host) as screen:
        screen.until_text("HOOK CHAIN")
        for columns, rows in ((80, 24), (40, 10), (1, 1), (120, 40)):
            screen.resize(columns, rows)
            screen.until(lambda seen, columns=columns: bool(seen[-1]) or columns == 1)  # type: ignore[misc]
        screen.until_text("HOOK CHAIN", KEY_LINE)
        assert "GEN" in row_of(screen.lines, "STATE")


def test_without_utf8_the_screen_is_ascii(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "1")
    with top(host, environment={"LANG": "C"}) as screen:
        lines = screen.until_text("`- ", KEY_LINE)
        assert "\n".join(lines).isascii()
    with top(host, "--ascii") as screen:
        screen.until_text("`- ")


def test_no_colours_are_written_when_they_are_disabled(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "1")
    colours = re.compile(rb"\x1b\[[0-9;]*\b(?:3[0-7]|9[0-7]|38;)[0-9;]*m")
    with top(host) as screen:
        screen.until_text(KEY_LINE)
        assert colours.search(screen.written)
    for arguments, environment in (((), {"NO_COLOR": "1"}), (("--color", "never"), {})):
        with top(host, *arguments, environment=environment) as screen:
            screen.until_text(KEY_LINE)
            assert not colours.search(screen.written)


# Keys.


def test_keys_select_pages_and_workers(live_host: Hosts) -> None:
    host = live_host("--plugin", "accesslog", "--plugin", "echo", "--workers", "2")
    first, second = (worker["pid"] for worker in host.workers())
    with host.connect() as client, top(host) as screen:
        assert answers(client)
        peer = "{}:{}".format(*client.getsockname())
        served = host.until(lambda status: status["totals"]["connections"] == 1)["workers"]
        busy = next(worker for worker in served if worker["connections"])
        screen.until_text("HOOK CHAIN")
        screen.type("2")
        screen.until_text(f"worker 0 (pid {first}): {1 - busy['slot']} connection")
        screen.type("\x1b[C")
        screen.until_text(f"worker 1 (pid {second}): {busy['slot']} connection")
        screen.type("\x1b[D" * (1 - busy["slot"]))
        screen.until_text(f"worker {busy['slot']} (pid {busy['pid']}): 1 connection", peer)
        screen.type("3")
        screen.until_text("LISTENER", "LAST ERROR")
        screen.type("4")
        screen.until_text("worker 0", "host ready, 2 workers")
        screen.type("1\x1b[Hj\x1b[Bk\r")
        screen.until_text(f"slot 0, pid {first}, generation 1", "last turn")
        screen.type("\x1b[C")
        screen.until_text(f"slot 1, pid {second}, generation 1")
        screen.type("\r")
        screen.until_text("HOOK CHAIN")


def test_keys_change_the_view(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "2")
    first, second = (str(worker["pid"]) for worker in host.workers())
    with top(host) as screen:
        screen.until_text("SLOT▼", "├─")
        screen.type("?")
        screen.until_text("this help", "any key closes the help")
        screen.type("x>")
        screen.until_text("GEN▼")
        screen.type("<")
        screen.until_text("SLOT▼")
        screen.type("I")
        screen.until_text("SLOT▲")
        screen.type("t")
        lines = screen.until_gone("├─")
        assert [line.split()[0] for line in lines if line.startswith((first, second))] == [second, first]
        screen.type("/" + first)
        screen.until(lambda seen: not any(line.startswith(second) for line in seen), "the filter")
        screen.type("\r")
        screen.until_text(f"filter: {first}  esc: show all")
        screen.type("\x1b")
        screen.until(lambda seen: any(line.startswith(second) for line in seen), "all workers again")
        screen.type(" ")
        screen.until_text("PAUSED")
        screen.type(" ")
        screen.until_gone("PAUSED")
        screen.type("f")
        screen.until_text("every 0.2s")
        screen.type("f")
        screen.until_text("every 1s")
        screen.type("d7.5\r")
        screen.until_text("every 7.5s")
        screen.type("z")
        screen.until_text("peak reset")


def test_pause_keeps_the_workers_and_updates_the_header(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "1")
    with top(host, "-d", "0.2") as screen:
        screen.until_text(KEY_LINE)
        screen.type(" ")
        lines = screen.until_text("PAUSED")
        with host.connect() as client:
            assert answers(client)
            held = row_of(lines, "total")
            screen.until(lambda seen: "conns 1/" in seen[1], "the connection in the header")
            assert row_of(screen.lines, "total") == held
            screen.type(" ")
            screen.until(lambda seen: row_of(seen, "total") != held, "the connection in the table")


def test_reload_recycle_and_scale_run_after_confirmation(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "2")
    with top(host, "-d", "0.2") as screen:
        screen.until_text(KEY_LINE)
        screen.type("R")
        screen.until_text(f"replace all 2 workers of pid {host.pid}, 0 connections open? y/n")
        screen.type("n")
        screen.until_text("cancelled")
        screen.type("Ry")
        screen.until_text("reload: done, 2 workers replaced, generation 2")
        pid = host.workers()[0]["pid"]
        # The old worker is shown above its successor until it has ended.
        screen.until(
            lambda seen: row_of([*seen, "├─"], "├─").startswith(f"├─ {pid} "), "the new worker in the first row"
        )
        screen.type("jjK")
        screen.until_text(f"replace worker 0 (pid {pid}), 0 connections open? y/n")
        screen.type("y")
        screen.until_text("recycle: done")
        host.until(lambda status: pid not in [worker["pid"] for worker in status["workers"]])
        screen.type("+")
        screen.until_text("scale from 2 to 3 workers")
        screen.type("y")
        screen.until_text("scale: done, 3 workers ready")
        assert len(host.workers()) == 3
        screen.until_text("3/3 ready")
        screen.type("-")
        screen.until_text("scale from 3 to 2 workers; to be drained: worker 2 (pid ")
        screen.type("y")
        screen.until_text("scale: done, 2 workers ready")


def test_quitting_during_a_reload_reports_that_it_continues(
    live_host: Hosts, write_plugin: Callable[..., str], tmp_path: Path
) -> None:
    gate = Gate(tmp_path)
    host = live_host("--plugin", write_plugin(f"@hookimpl\ndef worker_start(worker):\n    {gate.code}\n"))
    gate.shut()
    with top(host) as screen:
        screen.until_text(KEY_LINE)
        screen.type("Ry")
        host.wait_for_log("reload_started")
        screen.type("q")
        assert screen.wait() == 0
        assert f"the host in {host.run_dir} continues the reload; follow it with" in "".join(screen.lines)
    gate.open()
    host.wait_for_log("reload_finished")


def test_read_only_changes_nothing(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "1")
    pids = [worker["pid"] for worker in host.workers()]
    with top(host, "--read-only") as screen:
        assert "reload" not in screen.until_text(KEY_LINE)[-1]
        screen.type("Ry+yjjKy-y?")
        screen.until_text("this help")
        screen.type("q")
        assert screen.wait() == 0
    assert [worker["pid"] for worker in host.workers()] == pids


def test_a_draining_worker_and_a_slot_in_back_off_are_shown(
    live_host: Hosts, write_plugin: Callable[..., str], expected_errors: list[str], tmp_path: Path
) -> None:
    expected_errors += ["worker_crashed", "worker_not_booted"]
    cause = tmp_path / "cause"
    source = (
        "import os\n@hookimpl\ndef worker_start(worker):\n"
        f"    if worker.slot == 1 and os.path.exists({str(cause)!r}): os._exit(3)\n"
        "@hookimpl\ndef receive(connection, data): connection.send(data)\n"
    )
    host = live_host("--plugin", write_plugin(source), "--workers", "2")
    with host.connect() as client, top(host, "-d", "0.2", columns=80, rows=24) as screen:
        assert answers(client)
        cause.touch()
        os.kill(host.workers()[1]["pid"], signal.SIGKILL)
        screen.until_text("backoff", "retry in ", "worker 1 ")
        cause.unlink()
        screen.until_text("2/2 ready")
        assert host.command("reload").returncode == 0
        screen.until_text("draining")


# The host ends and comes back.


def test_the_last_frame_of_a_stopped_host_stays_until_the_host_is_back(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "1")
    with top(host) as screen:
        screen.until_text(KEY_LINE)
        pid = host.pid
        assert host.stop() == 0
        lines = screen.until_text("disconnected ", ", retrying")
        assert row_of(lines, f"{pid} ")
        screen.until_text("disconnected 1 s, retrying")
        host.process.stdout.close()  # type: ignore[union-attr]  # it is a pipe
        host.start()
        screen.until_gone("disconnected")
        screen.until_text(f"{host.pid} ", "host ready")
        screen.type("q")
        assert screen.wait() == 0


def test_keys_work_while_the_master_is_stopped(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "1")
    with top(host, "-d", "0.2") as screen:
        screen.until_text(KEY_LINE)
        host.signal(signal.SIGSTOP)
        screen.type("?")
        screen.until_text("this help")
        screen.type("x")
        screen.until_text("no answer for 3 s")
        screen.type("4")
        screen.until_text("no answer for 4 s")
        host.signal(signal.SIGCONT)
        screen.until_gone("no answer")
        screen.type("q")
        assert screen.wait() == 0


def test_top_without_a_host_exits_with_status_5(tmp_path: Path) -> None:
    with ScreenProgram(reactorhost("top", "--run-dir", str(tmp_path / "none"))) as screen:
        assert screen.wait() == 5
        assert "is not running" in "".join(screen.lines)
        assert ENTER not in screen.written


# The terminal is restored.


@pytest.mark.parametrize(
    ("keys", "number", "status"),
    [
        (b"q", None, 0),
        (b"\x03", None, 0),
        (None, signal.SIGTERM, -signal.SIGTERM),
        (None, signal.SIGHUP, -signal.SIGHUP),
        (None, signal.SIGINT, 0),
    ],
)
def test_the_terminal_is_restored_after_keys_and_signals(
    live_host: Hosts, keys: bytes | None, number: signal.Signals | None, status: int
) -> None:
    host = live_host("--plugin", "echo", "--workers", "1")
    with top(host) as screen:
        screen.until_text(KEY_LINE)
        assert not screen.is_restored()
        if keys is not None:
            screen.type(keys)
        if number is not None:
            screen.signal(number)
        assert screen.wait() == status
        assert screen.is_restored()


def test_the_terminal_is_restored_after_an_exception(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "1")
    program = (
        "import sys\nfrom reactorhost.dashboard.live import live_view\nrender, calls = live_view.render, []\n"
        "def broken(*arguments):\n    calls.append(1)\n"
        "    if len(calls) > 2: raise ZeroDivisionError('cannot draw')\n    return render(*arguments)\n"
        "live_view.render = broken\nfrom reactorhost.cli import main\n"
        f"main(['top', '-d', '0.1', '--run-dir', {str(host.run_dir)!r}])"
    )
    with ScreenProgram([sys.executable, "-c", program]) as screen:
        assert screen.wait() == 1
        assert screen.is_restored()
        assert screen.written.rfind(b"cannot draw") > screen.written.rfind(LEAVE)


# The kernel sends HUP, then CONT. A process that was stopped gets both at once.
@pytest.mark.parametrize("stopped", [False, True])
def test_top_ends_when_the_terminal_hangs_up(live_host: Hosts, stopped: bool) -> None:
    host = live_host("--plugin", "echo", "--workers", "1")
    with top(host) as screen:
        screen.until_text(KEY_LINE)
        if stopped:
            screen.process.send_signal(signal.SIGSTOP)
            until(lambda: is_stopped(screen.process.pid), "its stop")
        screen.hang_up()
        assert screen.process.wait(DEADLINE_SECONDS) in (0, -signal.SIGHUP)


@pytest.mark.parametrize("suspend", [b"\x1a", None])
def test_the_terminal_is_restored_while_top_is_suspended(
    live_host: Hosts, suspend: bytes | None, tmp_path: Path
) -> None:
    host = live_host("--plugin", "echo", "--workers", "1")
    # The kernel ignores SIGTSTP in an orphaned process group, so the group needs a parent in another group of the same
    # session, as under a shell.
    arguments = reactorhost("top", "--run-dir", str(host.run_dir))
    pid_file = tmp_path / "pid"
    program = (
        "import os, sys, signal\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    os.setpgid(0, 0); signal.signal(signal.SIGTTOU, signal.SIG_IGN); os.tcsetpgrp(0, os.getpid())\n"
        "    signal.signal(signal.SIGTTOU, signal.SIG_DFL)\n"
        f"    os.execv(sys.executable, {arguments!r})\n"
        f"open({str(pid_file)!r}, 'w').write(f'{{pid}}\\n')\n"
        "sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))"
    )
    with ScreenProgram([sys.executable, "-c", program]) as screen:
        screen.until_text(KEY_LINE)
        until(lambda: pid_file.exists() and pid_file.read_text().endswith("\n"), "the process id")
        pid = int(pid_file.read_text())
        if suspend is None:
            os.kill(pid, signal.SIGTSTP)
        else:
            screen.type(suspend)
        until(lambda: is_stopped(pid), "the stop")
        screen.until_written(LEAVE)
        assert screen.is_restored()
        os.kill(pid, signal.SIGCONT)
        screen.until_written(ENTER, 2)
        screen.until_text(KEY_LINE)
        screen.type("q")
        assert screen.wait() == 0
        assert screen.is_restored()


# Without a terminal.


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


def test_once_prints_the_document_in_json(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "1")
    shown = json.loads(host.command("top", "--once", "--json").stdout)
    assert set(shown) == set(host.status())


def test_without_a_terminal_batch_lines_are_printed(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "1")
    shown = host.command("top", "-d", "0.1", "-n", "21")
    assert (shown.returncode, shown.stderr) == (0, "")
    lines = shown.stdout.splitlines()
    assert len(lines) == 23
    assert [at for at, line in enumerate(lines) if line.startswith("TIME")] == [0, 21]
    assert all("1/1" in line for line in lines if not line.startswith("TIME"))
    assert len({len(line) for line in lines}) == 1


@pytest.mark.parametrize("environment", [{"TERM": "dumb"}, {"TERM": ""}])
def test_on_a_dumb_terminal_batch_lines_are_printed(live_host: Hosts, environment: dict[str, str]) -> None:
    host = live_host("--plugin", "echo", "--workers", "1")
    with top(host, "-n", "2", "-d", "0.1", environment=environment) as screen:
        assert screen.wait() == 0
        assert b"\x1b" not in screen.written


def test_force_color_does_not_make_a_pipe_a_terminal(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "1")
    shown = run(
        "top", "-n", "1", "--run-dir", str(host.run_dir), environment={"FORCE_COLOR": "1", "TERM": "xterm-256color"}
    )
    assert shown.returncode == 0
    assert "\x1b[?" not in shown.stdout


def test_json_lines_are_status_documents(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "1")
    shown = host.command("top", "--json", "-n", "2", "-d", "0.1")
    made = [json.loads(line) for line in shown.stdout.splitlines()]
    assert [each["pid"] for each in made] == [host.pid] * 2
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


def test_a_recording_is_played(live_host: Hosts, tmp_path: Path) -> None:
    host = live_host("--plugin", "echo", "--workers", "1")
    recording = str(tmp_path / "recording")
    assert host.command("top", "-n", "3", "-d", "0.2", "--record", recording).returncode == 0
    records = [json.loads(line) for line in Path(recording).read_text().splitlines()]
    assert len(records) == 3
    assert records[0]["at"] == 0
    assert 0.3 < records[2]["at"] < DEADLINE_SECONDS
    shown = run("top", "--replay", recording, "--speed", "100")
    assert (shown.returncode, len(shown.stdout.splitlines())) == (0, 4)
    once = run("top", "--replay", recording, "--once", "--json")
    assert json.loads(once.stdout) == records[2]["document"]
    with ScreenProgram(reactorhost("top", "--replay", recording, "--speed", "50")) as screen:
        lines = screen.until_text("end of replay", KEY_LINE)
        assert str(host.pid) in row_of(lines, "master")
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


def test_a_recording_that_cannot_be_written_fails_before_any_output(live_host: Hosts, tmp_path: Path) -> None:
    host = live_host("--plugin", "echo", "--workers", "1")
    ended = host.command("top", "-n", "1", "--record", str(tmp_path / "none" / "recording"))
    assert ended.returncode == 1
    assert "cannot record to" in ended.stderr
    assert ended.stdout == ""


# Clients of the control socket that do not read.


def test_clients_that_do_not_read_or_vanish_do_not_disturb_the_host(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "1")
    path = str(host.run_dir / "control.sock")
    request = b'{"verb": "status", "history": true}\n'
    with socket.socket(socket.AF_UNIX) as slow, host.connect() as client, top(host, "-d", "0.2") as screen:
        slow.connect(path)
        slow.sendall(request * 200)
        with socket.socket(socket.AF_UNIX) as vanishing:
            vanishing.connect(path)
            vanishing.sendall(request * 20)
        assert answers(client)
        screen.until_text(KEY_LINE, "1/1 ready")
        host.until(lambda found: found["totals"]["connections"] == 1)
        assert select.select([slow], (), (), DEADLINE_SECONDS)[0]


# Progress of other commands.


def test_reload_and_stop_show_a_bar_on_a_terminal_and_erase_it(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "2", "--stop-timeout", "30s")
    with ScreenProgram(reactorhost("reload", "--run-dir", str(host.run_dir))) as screen:
        assert screen.wait() == 0
        assert b"reloading" in screen.written
        assert b"(2 of 2)" in screen.written
        assert [line for line in screen.lines if line] == ["reloaded: 2 workers, generation 2"]
    with host.connect() as client:
        assert answers(client)
        with ScreenProgram(reactorhost("stop", "--run-dir", str(host.run_dir))) as screen:
            screen.until_text("stopping", "1 connection open")
            client.close()
            assert screen.wait() == 0
            assert [line for line in screen.lines if line] == [f"host 'default' in {host.run_dir} has stopped"]


def test_reload_prints_plain_lines_without_a_terminal(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "2")
    lines = host.command("reload").stdout.splitlines()
    assert [bool(re.match(r"slot \d: pid \d+ -> \d+ ready \(\d of 2\)$", line)) for line in lines] == [
        True,
        True,
        False,
    ]
    assert lines[-1] == "reloaded: 2 workers, generation 2"
