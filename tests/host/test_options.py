"""Options of plugins come from flags, variables and files, survive reloads, and no secret is shown."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from clients import read_exactly
from daemons import Daemon, run, without_progress
from reactorhost.testing import HostFailedError, LiveHost

Hosts = Callable[..., LiveHost]
Write = Callable[..., str]

SECRETS = ("hunter2-env", "hunter2-file", "hunter2-plain", "hunter2-flag")
KEYS = ("password", "token", "key", "pin")
TELLS = """
from reactorhost import Option
settings = {}

@hookimpl
def options():
    secret = [Option(name, default=None, secret=True) for name in ("password", "token", "key", "pin")]
    return [*secret, Option("limit", int, 5), Option("form", default="text", choices=("text", "json"))]

@hookimpl
def configure(config):
    settings.update(config)

@hookimpl
def receive(connection, data):
    connection.send(repr([settings[name] for name in data.decode().split()]).encode() + b"\\n")
"""


def told(host: LiveHost, *names: str) -> str:
    with host.connect() as client:
        client.sendall(" ".join(names).encode())
        line = b""
        while not line.endswith(b"\n"):
            line += read_exactly(client, 1)
    return line.decode().strip()


@pytest.fixture
def configured(tmp_path: Path, write_plugin: Write) -> Callable[[str], Path]:
    """Return a function that writes a configuration of the plugin above with these lines in its table."""

    def write(lines: str) -> Path:
        path = tmp_path / "host.toml"
        plugin = write_plugin(TELLS, "tells")
        listen = "tcp://127.0.0.1:0"
        path.write_text(f"[service.a]\nlisten = {listen!r}\nplugins = {plugin!r}\n[plugin.tells]\n{lines}")
        return path

    return write


def shown(text: str) -> dict[str, tuple[str, str]]:
    """Return the rows of `config show` by the setting."""
    lines = text.splitlines()[1:]
    return {name: (value, origin) for name, value, origin in (re.split(r" {2,}", line.strip()) for line in lines)}


def test_a_secret_reaches_the_plugin_and_is_never_shown(
    daemon: Callable[..., Daemon], configured: Callable[[str], Path], tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("hunter2-file\n")
    path = configured("password = { env = 'X_PASSWORD' }\ntoken = { file = 'token' }\nkey = 'hunter2-plain'\n")
    flags = ("--config", str(path), "--set", "tells.pin=hunter2-flag", "--set", "tells.limit=7")
    environment = {"X_PASSWORD": "hunter2-env"}
    host = daemon(*flags, "--log-level", "debug", environment=environment)
    assert told(host, *KEYS) == repr(list(SECRETS))
    assert host.command("reload").returncode == 0
    listing = run("config", "show", *flags, environment=environment)
    found = {name: listing for name, listing in shown(listing.stdout).items() if name.startswith("plugin.")}
    assert found == {
        "plugin.tells.password": ('{ env = "X_PASSWORD" }', f"{path}:5"),
        "plugin.tells.token": (f'{{ file = "{tmp_path / "token"}" }}', f"{path}:6"),
        "plugin.tells.key": ("***", f"{path}:7"),
        "plugin.tells.pin": ("***", "flag --set"),
        "plugin.tells.limit": ("7", "flag --set"),
        "plugin.tells.form": ("text", "default"),
    }
    outputs = [listing.stdout, json.dumps(host.status()), host.log(), host.started.stdout, host.started.stderr]
    outputs += [run("check", *flags, environment=environment).stdout, host.command("status").stdout]
    assert not [output for output in outputs if "hunter2" in output]


def test_no_value_of_a_plugin_that_does_not_load_is_shown(
    configured: Callable[[str], Path], write_plugin: Write
) -> None:
    path = configured("key = 'hunter2'\nkye = 'hunter2'\nlimit = 5\npassword = { env = 'X' }\n")
    found = shown(run("config", "show", "--config", str(path)).stdout)
    assert (found["plugin.tells.kye"][0], found["plugin.tells.limit"][0]) == ("***", "5")
    write_plugin("raise OSError\n", "tells")
    listing = run("config", "show", "--config", str(path))
    found = shown(listing.stdout)
    assert listing.returncode == 0
    assert [found[f"plugin.tells.{key}"][0] for key in ("key", "limit", "password")] == ["***", "***", '{ env = "X" }']


def test_check_and_start_report_secrets_alike_and_never_a_value(
    configured: Callable[[str], Path], tmp_path: Path
) -> None:
    path = configured(
        "password = { env = 'X_NONE' }\ntoken = { file = 'none' }\nkey = 5\nlimit = { env = 'X_PASSWORD' }\n"
    )
    environment = {"X_PASSWORD": "hunter2"}
    checked = run("check", "--config", str(path), environment=environment)
    started = run(
        "start", "--config", str(path), "--run-dir", str(tmp_path / "run"), "--traceback", environment=environment
    )
    assert (checked.returncode, started.returncode) == (1, 1)
    unreadable = "cannot be read: No such file or directory"
    assert checked.stderr.splitlines() == [
        "reactorhost: 'password' of plugin tells is read from the environment variable X_NONE, which is not set",
        f"  where: {path}:5",
        "  hint: set X_NONE in the environment of the host",
        f"reactorhost: 'token' of plugin tells is read from the file {tmp_path / 'none'}, which {unreadable}",
        f"  where: {path}:6",
        "reactorhost: 'key' of plugin tells is not a string",
        f"  where: {path}:7",
        "reactorhost: 'limit' of plugin tells from the environment variable X_PASSWORD is not a whole number",
        f"  where: {path}:8",
    ]
    assert started.stderr.endswith(checked.stderr)
    assert "hunter2" not in started.stderr


def test_all_invalid_flags_are_reported_in_one_error(write_plugin: Write) -> None:
    words = ("tells.limit=many", "tells.form=txt", "tells.limti=5", "tells.key=hunter2")
    flags = [word for text in words for word in ("--set", text)]
    checked = run("check", "--plugin", write_plugin(TELLS, "tells"), *flags)
    assert checked.returncode == 2
    assert checked.stderr.splitlines() == [
        "reactorhost: plugin tells has no option 'limti'",
        "  where: --set",
        "  hint: did you mean 'limit'?",
        "reactorhost: 'limit' of plugin tells is 'many', which is not a whole number",
        "  where: --set",
        "reactorhost: 'form' of plugin tells is 'txt', which is not one of text, json",
        "  where: --set",
        "  hint: did you mean 'text'?",
    ]


def test_start_and_check_report_a_flag_alike(write_plugin: Write, tmp_path: Path) -> None:
    flags = ("--plugin", write_plugin(TELLS, "tells"), "--listen", "tcp://127.0.0.1:0", "--set", "tells.limit=many")
    checked = run("check", *flags)
    started = run("start", *flags, "--run-dir", str(tmp_path / "run"))
    assert (started.returncode, without_progress(started.stderr)) == (checked.returncode, checked.stderr)
    assert not (tmp_path / "run").exists()


def test_flags_and_variables_are_kept_over_reload_hup_and_restart(
    daemon: Callable[..., Daemon], configured: Callable[[str], Path]
) -> None:
    path = configured("password = { env = 'X_PASSWORD' }\nlimit = 1\n")
    environment = {"X_PASSWORD": "of the start", "REACTORHOST_SET": "tells.pin=1\ntells.key=a=b, c"}
    host = daemon("--config", str(path), "--set", "tells.limit=7", environment=environment)
    expected = "['of the start', 7, '1', 'a=b, c', None]"
    asked = ("password", "limit", "pin", "key", "token")
    assert told(host, *asked) == expected
    assert host.command("reload").returncode == 0
    assert told(host, *asked) == expected
    configured("password = { env = 'X_PASSWORD' }\nlimit = 2\ntoken = 'new'\n")
    host.signal(signal.SIGHUP)
    host.wait_for_log("reload_finished", 2)
    assert told(host, *asked) == expected.replace("None", "'new'")
    # From a shell that has none of the variables, or other ones.
    restarted = run("restart", "--run-dir", str(host.run_dir), environment={"X_PASSWORD": "of another shell"})
    assert restarted.returncode == 0, restarted.stderr
    assert "of the start" not in restarted.stdout + restarted.stderr
    host.find()
    assert told(host, *asked) == expected.replace("None", "'new'")


def test_a_missing_secret_fails_the_reload_and_old_workers_keep_serving(
    live_host: Hosts, configured: Callable[[str], Path], tmp_path: Path, expected_errors: list[str]
) -> None:
    expected_errors += ["worker_not_booted", "reload_failed"]
    secret = tmp_path / "secret"
    secret.write_text("first")
    host = live_host("--config", str(configured("token = { file = 'secret' }\n")), "--workers", "1")
    secret.write_text("hunter2\n")
    assert host.command("reload").returncode == 0
    assert told(host, "token") == "['hunter2']"
    secret.unlink()
    reloaded = host.command("reload")
    assert reloaded.returncode == 1
    what = f"'token' of plugin tells is read from the file {secret}, which cannot be read: No such file or directory"
    assert what in reloaded.stderr
    assert f"where: {tmp_path / 'host.toml'}:5" in reloaded.stderr
    assert told(host, "token") == "['hunter2']"
    assert "hunter2" not in host.log()


def test_a_missing_variable_is_reported_on_hup(
    live_host: Hosts, configured: Callable[[str], Path], expected_errors: list[str]
) -> None:
    expected_errors += ["worker_not_booted", "reload_failed"]
    host = live_host("--config", str(configured("limit = 1\n")), "--workers", "1")
    configured("limit = 2\ntoken = { env = 'X_NONE' }\n")
    host.signal(signal.SIGHUP)
    log = host.wait_for_log("reload_failed")
    assert "is read from the environment variable X_NONE, which is not set" in log
    assert told(host, "limit") == "[1]"


HANGS = """
@hookimpl
def receive(connection, data): ...
@hookimpl
def options():
    while True: pass
"""


def test_an_options_hook_that_never_returns_is_reported(write_plugin: Write, tmp_path: Path) -> None:
    flags = ("--plugin", write_plugin(HANGS), "--boot-timeout", "0.3", "--listen", "tcp://127.0.0.1:0")
    checked = run("check", *flags)
    assert (checked.returncode, checked.stderr) == (4, "reactorhost: plugin made did not finish loading in 0.3 s\n")
    started = run("start", *flags, "--run-dir", str(tmp_path / "run"))
    assert started.returncode == 3
    assert "did not become ready" in started.stderr


def test_text_with_any_characters_and_length_reaches_the_plugin(live_host: Hosts, write_plugin: Write) -> None:
    text = "=\"'$(x) \\ grüße 日本 🙂\t" + "x" * 100_000
    host = live_host("--plugin", write_plugin(TELLS, "tells"), "--set", f"tells.key={text}", "--set", "tells.pin=")
    assert told(host, "key", "pin") == repr([text, ""])


def test_a_failed_start_logs_no_secret(configured: Callable[[str], Path], tmp_path: Path) -> None:
    path = configured("limit = { env = 'X_PASSWORD' }\n")
    flags = ("--config", str(path), "--run-dir", str(tmp_path / "run"), "--log-file", str(tmp_path / "log"))
    (tmp_path / "log").write_text("")
    started = run("start", "-d", *flags, "--log-level", "debug", environment={"X_PASSWORD": "hunter2"})
    assert started.returncode == 1
    assert "worker_not_booted" in (tmp_path / "log").read_text()
    assert "hunter2" not in (tmp_path / "log").read_text() + started.stderr + started.stdout


# `plugins NAME`


def described(*words: str) -> subprocess.CompletedProcess[str]:
    return run("plugins", *words)


def test_the_sample_table_of_a_plugin_passes_check(write_plugin: Write, tmp_path: Path) -> None:
    plugin = write_plugin(TELLS, "tells")
    page = described(plugin, "--run-dir", str(tmp_path / "run"))
    assert (page.returncode, page.stderr) == (0, "")
    assert "  password  str, secret\n" in page.stdout
    assert '  form  str, default "text", one of text | json\n' in page.stdout
    sample = page.stdout.partition("\nexample\n")[2]
    assert sample.startswith("  [plugin.tells]\n")
    path = tmp_path / "host.toml"
    uncommented = re.sub(r"^  # (\w+ = )", r"\1", sample, flags=re.MULTILINE)
    path.write_text(f"[service.a]\nlisten = 'tcp://:0'\nplugins = {plugin!r}\n{uncommented}")
    variables = dict.fromkeys(re.findall(r'env = "(\w+)"', sample), "x")
    checked = run("check", "--config", str(path), environment=variables)
    assert (checked.returncode, checked.stdout.splitlines()[-1], checked.stderr) == (0, "ok", "")


def test_one_plugin_is_described_as_json(tmp_path: Path) -> None:
    (tmp_path / "chat.py").write_text(
        '"""A chat.\n\nMore of it.\n"""\nfrom reactorhost import Option, hookimpl\nclass Greeter:\n'
        "    @hookimpl\n    def options(self):\n        return [Option('limit', int, 5, 'clients')]\n"
    )
    # By its path: with PYTHONSAFEPATH the working directory is not on sys.path.
    place = {"PYTHONPATH": str(tmp_path)}
    page = run("plugins", "chat:Greeter", "--json", "--run-dir", str(tmp_path / "run"), environment=place)
    assert page.returncode == 0, page.stderr
    document = json.loads(page.stdout)
    assert document == {
        "schema": 1,
        "plugin": {
            "name": "chat:Greeter",
            "named": "chat:Greeter",
            "distribution": None,
            "version": None,
            "target": "chat:Greeter",
            "file": str(tmp_path / "chat.py"),
            "description": "A chat.",
            "hooks": ["options"],
            "options": [
                {
                    "name": "limit",
                    "type": "int",
                    "required": False,
                    "default": 5,
                    "help": "clients",
                    "choices": [],
                    "secret": False,
                }
            ],
            "commands": [],
            "shadowed": False,
            "active": False,
            "error": None,
        },
        "sample": '[plugin."chat:Greeter"]\n# clients\n# limit = 5',
    }


def test_a_missing_or_broken_plugin_is_reported(write_plugin: Write, tmp_path: Path) -> None:
    where = ("--run-dir", str(tmp_path / "run"))
    missing = described("ehco", *where)
    assert (missing.returncode, missing.stdout) == (4, "")
    assert "did you mean 'echo'?" in missing.stderr
    broken = described(write_plugin("1 / 0\n"), *where)
    assert broken.returncode == 4
    assert broken.stdout.startswith("made\n")
    assert "plugin made failed to import: ZeroDivisionError: division by zero" in broken.stderr
    echo = described("echo", *where)
    assert echo.returncode == 0
    assert "reactorhost-echo" in echo.stdout


def test_a_host_does_not_start_without_a_required_option(write_plugin: Write, live_host: Hosts) -> None:
    source = TELLS.replace('choices=("text", "json")', 'choices=("yaml",)')
    with pytest.raises(HostFailedError, match="option 'form' has default 'text', which is not one of yaml") as caught:
        live_host("--plugin", write_plugin(source, "tells"))
    assert caught.value.status == 4
