"""Commands that need no running host: `plugins`, `check`, `config show`, `completion`, help; and misspelt words."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clients import answers
from daemons import COMMAND, run, without_progress
from reactorhost import __version__
from reactorhost.testing import LiveHost

Hosts = Callable[..., LiveHost]

GOOD = "from reactorhost import hookimpl\n@hookimpl\ndef receive(connection, data): ...\n"
DISTRIBUTIONS = {
    "fine": GOOD,
    "broken": "import no_such_module_anywhere\n",
    "exits": "import os\nos._exit(0)\n",
    "crashes": "import ctypes\nctypes.string_at(0)\n",
    "breaches": "from reactorhost import hookimpl\n@hookimpl\ndef recieve(connection, data): ...\n",
}


@pytest.fixture
def installed(tmp_path: Path) -> dict[str, str]:
    """Install plugins, most of them broken, and return the environment in which they are found."""
    site = tmp_path / "site"
    for name, source in DISTRIBUTIONS.items():
        facts = site / f"reactorhost_x{name}-1.5.dist-info"
        facts.mkdir(parents=True)
        (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: reactorhost-x{name}\nVersion: 1.5\n")
        (facts / "entry_points.txt").write_text(f"[reactorhost]\nx{name} = reactorhost_x{name}\n")
        (site / f"reactorhost_x{name}.py").write_text(source)
    return {"PYTHONPATH": str(site)}


# plugins


def rows(shown: subprocess.CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    document = json.loads(shown.stdout)
    assert document["schema"] == 1
    return {row["name"]: row for row in document["plugins"]}


def test_plugins_lists_broken_plugins_with_their_errors(installed: dict[str, str], tmp_path: Path) -> None:
    shown = run("plugins", "--json", "--run-dir", str(tmp_path / "run"), environment=installed)
    assert (shown.returncode, shown.stderr) == (0, "")
    found = rows(shown)
    assert {"accesslog", "echo", *(f"x{name}" for name in DISTRIBUTIONS)} <= set(found)
    assert found["xfine"] == {
        "name": "xfine",
        "distribution": "reactorhost-xfine",
        "version": "1.5",
        "file": str(tmp_path / "site" / "reactorhost_xfine.py"),
        "hooks": ["receive"],
        "active": False,
        "error": None,
    }
    errors = {name: found[f"x{name}"]["error"] for name in DISTRIBUTIONS}
    assert "No module named 'no_such_module_anywhere'" in errors["broken"]
    assert "exit status 0" in errors["exits"]
    assert "SIGSEGV" in errors["crashes"]
    assert "did you mean 'receive'?" in errors["breaches"]
    assert all(found[f"x{name}"]["version"] == "1.5" for name in DISTRIBUTIONS)


def test_plugins_prints_a_line_for_each_plugin(installed: dict[str, str], tmp_path: Path) -> None:
    shown = run("plugins", "--run-dir", str(tmp_path / "run"), environment=installed)
    assert shown.returncode == 0
    plugins, _, buses = shown.stdout.partition("\n\n")
    heading, *lines = plugins.splitlines()
    assert heading.split() == ["NAME", "VERSION", "DISTRIBUTION", "ACTIVE", "HOOKS", "ERROR"]
    assert buses.split()[:5] == ["BUS", "VERSION", "DISTRIBUTION", "ERROR", "redis://"]
    named = {line.split()[0]: line for line in lines}
    assert named["xfine"].split()[1:5] == ["1.5", "reactorhost-xfine", "-", "receive"]
    assert "No module named" in named["xbroken"]


def test_plugins_shows_which_are_active_in_a_running_host(live_host: Hosts, installed: dict[str, str]) -> None:
    host = live_host("--plugin", "xfine", "--plugin", "echo", environment=installed)
    found = rows(host.command("plugins", "--json"))
    assert {name for name, row in found.items() if row["active"]} == {"xfine", "echo"}


def test_an_installed_broken_plugin_does_not_affect_a_host_without_it(
    live_host: Hosts, installed: dict[str, str]
) -> None:
    host = live_host("--plugin", "echo", environment=installed)
    with host.connect() as client:
        assert answers(client)


# check


def test_check_of_correct_settings_binds_nothing(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo")
    address = "tcp://{}:{}".format(*host.address())
    words = ("check", "echo", "--listen", address, "--run-dir", str(host.run_dir))
    checked = run(*words)
    assert (checked.returncode, checked.stderr) == (0, "")
    rows = [re.split(" {2,}", line) for line in checked.stdout.splitlines()]
    assert rows == [
        ["ok", "settings", "without a file", "set by 1 argument, 2 flags"],
        ["ok", "plugin", f"echo (reactorhost-echo {__version__})", "loaded, for service default"],
        ["ok", "address", address, "of this machine, may be in use, for service default"],
        ["ok", "run directory", str(host.run_dir), "can be written"],
        ["ok"],
    ]
    assert run(*words, "-q").stdout == ""


def test_check_reports_every_problem_of_a_file_with_its_line(tmp_path: Path) -> None:
    config = tmp_path / "host.toml"
    config.write_text(
        "[host]\nworkres = 2\nstop_timeout = true\n\n[service.a]\nlisten = 'tcp://nowhere'\nplugins = 'echo'\n"
        "\n[service.b]\nplugins = 'echo'\n[serivce.c]\n"
    )
    checked = run("check", "--config", str(config))
    assert checked.returncode == 1
    errors = checked.stderr
    for line in (2, 3, 6, 9, 11):
        assert f"where: {config}:{line}\n" in errors, (line, errors)
    assert "did you mean 'workers'?" in errors
    assert "did you mean 'service'?" in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize("command", [["check"], ["start", "-d"]])
def test_mistakes_in_all_parts_of_a_file_are_reported_together(tmp_path: Path, command: list[str]) -> None:
    config = tmp_path / "host.toml"
    config.write_text(
        "[host]\nworkres = 2\n[service.a]\nlisten = 'unix:///tmp/never-bound'\nplugins = ['accesslog', 'echo']\n"
        "framing = 'line'\nunix_owner = 'no-such-account'\n[service.b]\nlisten = 'tcp://127.0.0.1:0'\n"
        "plugins = 'ecko'\n[plugin.accesslog]\nfomrat = 'json'\n[plugin.echo]\nlimit = 1\n"
    )
    ended = run(*command, "--config", str(config), "--run-dir", str(tmp_path / "run"))
    assert ended.returncode == 1
    for line in (2, 6, 7, 10, 12, 14):
        assert ended.stderr.count(f"where: {config}:{line}\n") == 1, (line, ended.stderr)
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("command", [["check"], ["start", "-d"]])
def test_a_flag_with_an_unknown_owner_is_a_usage_error(tmp_path: Path, command: list[str]) -> None:
    place = ("--listen", f"unix://{tmp_path}/s", "--run-dir", str(tmp_path / "run"))
    ended = run(*command, "--plugin", "echo", *place, "--unix-owner", "no-such-account")
    assert ended.returncode == 2
    assert "where: --unix-owner\n" in ended.stderr


def test_check_warns_of_a_service_that_discards_what_clients_send(write_plugin: Callable[..., str]) -> None:
    checked = run("check", "--plugin", write_plugin("@hookimpl\ndef connect(connection): ...\n"))
    assert (checked.returncode, checked.stdout.splitlines()[-1]) == (0, "ok")
    assert checked.stderr.startswith("reactorhost: warning: no plugin of service 'default' has the hook receive")


def test_check_reports_a_syntax_error_with_its_line(tmp_path: Path) -> None:
    config = tmp_path / "host.toml"
    config.write_text("[host]\nworkers = = 2\n")
    checked = run("check", "--config", str(config))
    assert checked.returncode == 1
    assert f"{config}:2" in checked.stderr
    assert "Traceback" not in checked.stderr


@pytest.mark.parametrize("plugin", ["xbroken", "xexits", "xcrashes", "xbreaches", "xfin"])
def test_check_reports_a_plugin_that_cannot_be_loaded(installed: dict[str, str], plugin: str) -> None:
    checked = run("check", "--plugin", "echo", "--plugin", plugin, environment=installed)
    assert (checked.returncode, checked.stdout) == (4, "")
    assert plugin in checked.stderr


def test_check_compares_a_plugins_table_with_its_options(tmp_path: Path) -> None:
    config = tmp_path / "host.toml"
    service = "[service.a]\nlisten = 'tcp://127.0.0.1:0'\nplugins = ['accesslog', 'echo']\n"
    config.write_text(f"{service}[plugin.accesslog]\nfomrat = 'json'\n")
    checked = run("check", "--config", str(config))
    assert checked.returncode == 1
    assert f"where: {config}:5\n" in checked.stderr
    assert "did you mean 'format'?" in checked.stderr


@pytest.mark.parametrize(
    "rest",
    [
        "plugins = 'echo'\n[host]\nworkres = 2\n",
        "plugins = ['accesslog', 'echo']\n[plugin.accesslog]\nformat = 'yaml'\n",
        "plugins = 'echo'\nframing = 'line'\n",
        "plugins = 'echo'\nframing = { kind = 'fixed', sise = 4 }\n",
        "plugins = 'echo'\nframing = { kind = 'websocket', max_size = '1KiB' }\n",
    ],
)
def test_check_and_start_report_the_same_errors(tmp_path: Path, rest: str) -> None:
    config = tmp_path / "host.toml"
    config.write_text(f"[service.a]\nlisten = 'tcp://127.0.0.1:0'\n{rest}")
    checked = run("check", "--config", str(config))
    started = run("start", "--config", str(config), "--run-dir", str(tmp_path / "run"))
    assert checked.returncode != 0
    assert (checked.returncode, checked.stderr) == (started.returncode, without_progress(started.stderr))
    assert os.listdir(tmp_path) == ["host.toml"]


def test_a_wrong_framing_in_a_flag_is_a_usage_error() -> None:
    checked = run("check", "--plugin", "echo", "--framing", "line")
    assert checked.returncode == 2
    assert "where: --framing\n" in checked.stderr
    assert "did you mean 'lines'?" in checked.stderr


def test_a_framing_of_a_plugin_is_checked_where_the_plugin_is_loaded(write_plugin: Callable[..., str]) -> None:
    plugin = write_plugin(
        "@hookimpl\ndef framings():\n    from reactorhost import Fixed\n    return {'cells': lambda: Fixed(4)}\n"
        "@hookimpl\ndef receive(connection, data): ...\n"
    )
    assert run("check", "--plugin", plugin, "--framing", "cells").returncode == 0
    checked = run("check", "--plugin", plugin, "--framing", "cell")
    assert checked.returncode == 2
    assert "there is no framing 'cell'; did you mean 'cells'?\n  where: --framing\n" in checked.stderr


# config show


def test_config_show_prints_every_setting_with_its_origin(tmp_path: Path) -> None:
    config = tmp_path / "host.toml"
    config.write_text(
        "[host]\nworkers = 2\nbacklog = 7\nmax_connections = 9\n"
        "[service.a]\nlisten = 'tcp://127.0.0.1:1'\nplugins = ['accesslog', 'echo']\n"
        "[plugin.accesslog]\nformat = 'json'\n"
    )
    environment = {"REACTORHOST_WORKERS": "3", "REACTORHOST_BACKLOG": "8"}
    shown = run("config", "show", "--config", str(config), "--workers", "4", environment=environment)
    assert (shown.returncode, shown.stderr) == (0, "")
    heading, *lines = shown.stdout.splitlines()
    assert heading.split() == ["SETTING", "VALUE", "FROM"]
    table = {name: (value, origin) for name, value, origin in (re.split(r" {2,}", line.strip()) for line in lines)}
    assert table["workers"] == ("4", "flag --workers")
    assert table["backlog"] == ("8", "environment REACTORHOST_BACKLOG")
    assert table["max_connections"] == ("9", f"{config}:4")
    assert table["boot_timeout"][1] == "default"
    assert table["service.a.listen"] == ("tcp://127.0.0.1:1", f"{config}:6")
    assert table["service.a.plugins"] == ("accesslog, echo", f"{config}:7")
    assert table["plugin.accesslog.format"] == ("json", f"{config}:9")


# Misspelt words.


@pytest.mark.parametrize(
    ("words", "status", "hint"),
    [
        (["strat"], 2, "did you mean 'start'?"),
        (["reloda"], 2, "did you mean 'reload'?"),
        (["start", "--plugn", "echo"], 2, "--plugin"),
        (["start", "--plugin", "echo", "--worker", "2"], 2, "--workers"),
        (["stop", "--nwo"], 2, "--now"),
        (["config", "shwo"], 2, "did you mean 'show'?"),
        (["start", "--plugin", "ehco"], 4, "did you mean 'echo'?"),
        (["check", "--plugin", "acceslog"], 4, "did you mean 'accesslog'?"),
        (["check", "--plugin", "echo", "--listen", "tpc://:1"], 2, "did you mean 'tcp'?"),
        (["check", "--plugin", "echo", "--log-level", "waring"], 2, "warning"),
        (["completion", "bahs"], 2, "bash"),
    ],
)
def test_a_misspelt_word_gets_a_suggestion(tmp_path: Path, words: list[str], status: int, hint: str) -> None:
    ended = run(*words, cwd=tmp_path)
    assert ended.returncode == status, ended.stderr
    # click 8.2 put the suggestion into quotes; for a choice, click lists the values.
    assert hint in ended.stderr
    assert re.search("[Dd]id you mean|is not one of", ended.stderr)
    assert "Traceback" not in ended.stderr


def test_an_unknown_choice_is_reported_with_the_other_invalid_values(tmp_path: Path) -> None:
    ended = run("check", "--plugin", "echo", "--workers", "x", "--poller", "kqueue", "--proxy-from", "y", cwd=tmp_path)
    assert ended.returncode == 2
    assert "workers must be a whole number" in ended.stderr
    assert "poller must be one of epoll, selectors, not 'kqueue'" in ended.stderr
    assert "proxy_from must be an IP address or a network, not 'y'\n" in ended.stderr


def test_start_without_a_plugin_lists_the_installed_ones(tmp_path: Path) -> None:
    ended = run("start", "--run-dir", str(tmp_path / "run"))
    assert ended.returncode == 2
    assert "no plugin is named" in ended.stderr
    assert re.search(r"  hint: add its name.*\becho\b", ended.stderr)


@pytest.mark.parametrize("place", [["--traceback", "stop"], ["stop", "--traceback"]])
def test_a_traceback_is_shown_on_request_only(tmp_path: Path, place: list[str]) -> None:
    where = ("--run-dir", str(tmp_path / "run"))
    assert "Traceback" not in run("stop", *where).stderr
    shown = run(*place, *where)
    assert "Traceback" in shown.stderr
    assert shown.stderr.splitlines()[-2].startswith("reactorhost: ")


# Help.


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["-h"], ["-V"], []])
def test_help_and_version_import_nothing_heavy_and_no_plugin(installed: dict[str, str], words: list[str]) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "reactorhost", *words]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **installed})
    assert ended.returncode == 0
    assert ("start" in ended.stdout) if words not in (["--version"], ["-V"]) else (__version__ in ended.stdout)
    imported = {line.rpartition("|")[2].strip() for line in ended.stderr.splitlines() if "|" in line}
    assert "reactorhost.cli.app" in imported
    heavy = {"rich", "asyncio", "pluggy", "importlib.metadata", "tomllib", "selectors", "reactorhost.master"}
    assert not imported & heavy
    assert not {name for name in imported if name.startswith(("reactorhost_", "reactorhost.plugins"))}


def test_files_of_the_working_directory_hide_no_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONSAFEPATH")
    for module in ("json", "click"):
        (tmp_path / f"{module}.py").write_text("raise SystemExit(1)\n")
    assert run("--version", cwd=tmp_path).returncode == 0


# completion


@pytest.mark.parametrize(
    ("shell", "pieces"),
    [
        ("bash", ["_REACTORHOST_COMPLETE=bash_complete", "complete -o nosort -F"]),
        ("zsh", ["_REACTORHOST_COMPLETE=zsh_complete", "#compdef reactorhost", "compdef "]),
        ("fish", ["_REACTORHOST_COMPLETE=fish_complete", "complete --no-files --command reactorhost"]),
    ],
)
def test_completion_prints_the_script_of_a_shell(shell: str, pieces: list[str]) -> None:
    # PATH is empty: the script may be generated on a machine without that shell.
    ended = run("completion", shell, environment={"PATH": "/nonexistent"})
    assert (ended.returncode, ended.stderr) == (0, "")
    for piece in pieces:
        assert piece in ended.stdout


def completed(words: str, environment: dict[str, str], shell: str = "bash") -> list[str]:
    position = str(len(words.split(" ")) - 1)
    variables = {"_REACTORHOST_COMPLETE": f"{shell}_complete", "COMP_WORDS": words, "COMP_CWORD": position}
    ended = run(environment={**environment, **variables})
    assert (ended.returncode, ended.stderr) == (0, "")
    return [line.partition(",")[2] for line in ended.stdout.splitlines()]


def test_plugin_names_are_completed_without_importing_plugins(installed: dict[str, str]) -> None:
    assert completed("reactorhost start --plugin ec", installed) == ["echo"]
    # Importing them would fail, or end the process.
    assert completed("reactorhost start --plugin x", installed) == sorted(f"x{name}" for name in DISTRIBUTIONS)
    assert completed("reactorhost check --plugin xf", installed) == ["xfine"]


def test_commands_and_flags_are_completed() -> None:
    assert completed("reactorhost re", {}) == ["restart", "reload", "reopen"]
    assert completed("reactorhost stop --n", {}) == ["--now", "--name"]
    assert completed("reactorhost start --log-format ", {}) == ["auto", "text", "json"]


def test_bash_completes_plugin_names(installed: dict[str, str], tmp_path: Path) -> None:
    program = tmp_path / "reactorhost"
    program.write_text(f'#!/bin/sh\nexec {" ".join(COMMAND)} "$@"\n')
    program.chmod(0o755)
    script = (
        f'eval "$({program} completion bash)"; COMP_WORDS=(reactorhost start --plugin xb); COMP_CWORD=3; '
        f'_reactorhost_completion {program} xb --plugin; echo "${{COMPREPLY[@]}}"'
    )
    try:
        ended = subprocess.run(
            ["bash", "-c", script], capture_output=True, text=True, check=False, env={**os.environ, **installed}
        )
    except FileNotFoundError:
        pytest.skip("bash is not installed")
    assert ended.stdout.split() == ["xbreaches", "xbroken"], ended.stderr


@pytest.mark.parametrize("words", [["--help"], ["plugins"], ["config", "show"], ["completion", "bash"]])
def test_a_full_output_device_is_reported(words: list[str]) -> None:
    with open("/dev/full", "w") as full:
        ended = subprocess.run(
            [*COMMAND, *words], stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=60
        )
    assert ended.returncode == 1
    assert ended.stderr == "reactorhost: cannot write the output: No space left on device\n"
