"""`reactorhost top`: its screen and keys, and a host that ends and comes back."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from clients import answers
from documents import history, troubled
from gates import Gate
from load import Load
from reactorhost.testing import DEADLINE_SECONDS, LiveHost
from screens import ENTER, KEY_LINE, ScreenProgram, reactorhost, row_of, top

Hosts = Callable[..., LiveHost]


# The screen.


def test_a_host_under_load_is_shown_with_its_history(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "2")
    with Load(host.address()), host.connect() as client:
        assert answers(client)
        host.until(lambda status: status["rates"]["messages"] > 0 and status["totals"]["messages"] > 100)
        with top(host) as screen:
            lines = screen.until_text("HOOK CHAIN", "host ready, 2 workers", KEY_LINE)
            assert "2/2 ready · gen 1 · up 0m" in lines[0]
            assert f"tcp://127.0.0.1:{host.address()[1]} · echo" in lines[0]
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
def test_a_screen_of_any_size_is_filled_and_restored(echo_host: LiveHost, columns: int, rows: int) -> None:
    with top(echo_host, columns=columns, rows=rows) as screen:
        name = "default · 1/1 ready" if columns <= 20 else "reactorhost"
        lines = screen.until(lambda seen: seen[0].startswith(name[: max(columns - 1, 0)]) and seen[0])
        if columns >= 40:
            assert "PID" in "".join(screen.until_text(KEY_LINE))
        assert len(lines) == rows
        screen.type("q")
        assert screen.wait() == 0
        assert screen.is_restored()


def test_a_resized_screen_is_filled_without_a_key(echo_host: LiveHost) -> None:
    with top(echo_host) as screen:
        screen.until_text("HOOK CHAIN")
        for columns, rows in ((80, 24), (40, 10), (1, 1), (120, 40)):
            screen.resize(columns, rows)
            screen.until(lambda seen, columns=columns: bool(seen[-1]) or columns == 1)  # type: ignore[misc]
        screen.until_text("HOOK CHAIN", KEY_LINE)
        assert "GEN" in row_of(screen.lines, "STATE")


def test_without_utf8_the_screen_is_ascii(echo_host: LiveHost) -> None:
    with top(echo_host, environment={"LANG": "C"}) as screen:
        lines = screen.until_text("`- ", KEY_LINE)
        assert "\n".join(lines).isascii()
    with top(echo_host, "--ascii") as screen:
        screen.until_text("`- ")


def test_the_linux_console_gets_characters_that_it_has(echo_host: LiveHost) -> None:
    with top(echo_host, environment={"TERM": "linux"}) as screen:
        lines = screen.until_text("└─", "SLOTv", KEY_LINE)
        assert not set("".join(lines)) & set("▁▂▃▅▆▇…▼▲›×")


def test_no_colours_are_written_when_they_are_disabled(tmp_path: Path) -> None:
    recording = tmp_path / "recording"
    recording.write_text(json.dumps({"at": 0.0, "document": troubled(history=history())}) + "\n")
    colours = re.compile(rb"\x1b\[[0-9;]*\b(?:3[0-7]|9[0-7]|38;)[0-9;]*m")
    command = reactorhost("top", "--replay", str(recording))
    with ScreenProgram(command) as screen:
        screen.until_text("draining", KEY_LINE)
        assert colours.search(screen.written)
    for arguments, environment in (((), {"NO_COLOR": "1"}), (("--color", "never"), {})):
        with ScreenProgram([*command, *arguments], environment=environment) as screen:
            screen.until_text("draining", KEY_LINE)
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
        screen.type("3")
        screen.until_text("1 client", peer)
        screen.type("4")
        screen.until_text("LISTENER", "LAST ERROR")
        screen.type("5")
        screen.until_text("host starting", "host ready, 2 workers")
        screen.type("1\x1b[Hj\x1b[Bk\r")
        screen.until_text(f"slot 0, pid {first}, generation 1", "last turn")
        screen.type("\x1b[C")
        screen.until_text(f"slot 1, pid {second}, generation 1", "Workers › worker 1")
        screen.type("\x1b")
        screen.until_text("HOOK CHAIN")
        # From the service to its worker, to the worker's client, and all the way back.
        screen.type("2\r\x1b[H" + "j" * busy["slot"] + "\r")
        screen.until_text(f"Services › default › worker {busy['slot']}")
        screen.type("\r")
        screen.until_text("1 client", peer)
        screen.type("\r")
        screen.until_text(f"worker {busy['slot']} › clients › {peer}", f"{peer}, number")
        screen.type("\x7f\x7f\x7f\x7f")
        screen.until_text("SERVICE  ", "CHAIN")


def test_clients_are_grouped_and_one_is_disconnected(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "2")
    with host.connect() as client, top(host) as screen:
        assert answers(client)
        peer = "{}:{}".format(*client.getsockname())
        host.until(lambda status: status["totals"]["connections"] == 1)
        screen.type("3")
        screen.until_text("1 client", peer)
        screen.type("g")
        screen.until_text("1 client, 1 address", "ADDRESS")
        screen.type("\r")
        screen.until_text("1 client from 127.0.0.1", peer)
        screen.type("jx")
        screen.until_text(f"disconnect {peer} of service default", "y/n")
        screen.type("y")
        screen.until_text("disconnect: done")
        assert client.recv(1) == b""
        screen.until_text("0 clients")


def test_clicks_and_the_wheel_work_until_the_terminal_is_restored(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "2")
    with top(host) as screen:
        lines = screen.until_text("4 Plugins", KEY_LINE)
        row = next(at for at, line in enumerate(lines) if "4 Plugins" in line)
        screen.type(f"\x1b[<0;{lines[row].index('Plugins') + 1};{row + 1}M")
        screen.until_text("LISTENER")
        screen.type("1\x1b[H\x1b[<65;9;9M\r")
        screen.until_text("Workers › worker 1")
        screen.type("q")
        assert screen.wait() == 0
        assert b"\x1b[?1000h" in screen.written
        assert screen.is_restored()
    with top(host, "--no-mouse") as screen:
        screen.until_text(KEY_LINE)
        screen.type("q")
        assert screen.wait() == 0
        assert b"\x1b[?1000h" not in screen.written


def test_keys_change_the_view(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "2")
    first, second = (str(worker["pid"]) for worker in host.workers())
    with top(host) as screen:
        screen.until_text("SLOT▼", "├─")
        screen.type("?")
        screen.until_text("this help", "any other key closes the help")
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


def test_another_host_is_chosen_from_a_list(live_host: Hosts) -> None:
    first, second = (live_host("--plugin", "echo", "--workers", count) for count in ("1", "2"))
    with top(first) as screen:
        screen.until_text("1/1 ready", KEY_LINE)
        screen.type("H")
        lines = screen.until_text("RUNNING HOSTS", str(first.run_dir), str(second.run_dir))
        shown, wanted = (lines.index(row_of(lines, str(host.run_dir))) for host in (first, second))
        screen.type(("\x1b[A" if wanted < shown else "\x1b[B") * abs(wanted - shown) + "\r")
        screen.until_text("2/2 ready", str(second.pid))
        screen.type("R")
        screen.until_text(f"replace all 2 workers of pid {second.pid}")
        screen.type("nq")
        assert screen.wait() == 0
        assert screen.is_restored()


def test_pause_keeps_the_workers_and_updates_the_header(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "1")
    with top(host, "-d", "0.2") as screen:
        screen.until_text(KEY_LINE)
        screen.type(" ")
        lines = screen.until_text("PAUSED")
        with host.connect() as client:
            assert answers(client)
            held = row_of(lines, "total")
            screen.until(lambda seen: "clients 1/" in seen[1], "the connection in the header")
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


def test_read_only_changes_nothing(echo_host: LiveHost) -> None:
    pids = [worker["pid"] for worker in echo_host.workers()]
    with top(echo_host, "--read-only") as screen:
        assert "reload" not in screen.until_text(KEY_LINE)[-1]
        screen.type("Ry+yjjKy-y?")
        screen.until_text("this help")
        screen.type("q")
        assert screen.wait() == 0
    assert [worker["pid"] for worker in echo_host.workers()] == pids


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
        # A slow machine may not show each second.
        screen.until(lambda seen: re.search(r"disconnected [1-9]\d* s, retrying", "".join(seen)), "a second")
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
        shown = silent_seconds(screen, 3)
        screen.type("4")
        silent_seconds(screen, shown + 1)
        host.signal(signal.SIGCONT)
        screen.until_gone("no answer")
        screen.type("q")
        assert screen.wait() == 0


def silent_seconds(screen: ScreenProgram, least: int) -> int:
    """Wait until at least so many seconds without an answer are shown; returns how many are."""
    shown = 0

    def holds(lines: list[str]) -> bool:
        nonlocal shown
        found = re.search(r"no answer for (\d+) s", "\n".join(lines))
        shown = int(found[1]) if found else 0
        return shown >= least

    screen.until(holds, f"{least} s without an answer")
    return shown


def test_top_without_a_host_exits_with_status_5(tmp_path: Path) -> None:
    with ScreenProgram(reactorhost("top", "--run-dir", str(tmp_path / "none"))) as screen:
        assert screen.wait() == 5
        assert "is not running" in "".join(screen.lines)
        assert ENTER not in screen.written


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
