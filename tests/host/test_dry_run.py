"""A dry run finds what would end a worker at its boot, in a child process that leaves nothing behind."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from reactorhost.config.resolve import resolve
from reactorhost.config.settings import Settings
from reactorhost.errors import PluginError, ReactorhostError
from reactorhost.system.account import Account
from reactorhost.worker.dry_run import dry_run
from users import NOBODY

ECHO = "@hookimpl\ndef receive(connection, data): ...\n"


pytestmark = pytest.mark.usefixtures("no_child_or_descriptor_is_left")


@pytest.fixture
def settings(tmp_path: Path) -> Callable[..., Settings]:
    """Return a function that makes settings with these plugins and flags."""

    def make(*plugins: str, **flags: object) -> Settings:
        return resolve({"plugins": plugins, "run_dir": str(tmp_path / "run"), **flags}, {}, tmp_path)

    return make


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("@hookimpl\ndef framing(service): return 'lines'\n", "framing: 'lines' has no method feed"),
        (
            "from reactorhost import Fixed\n@hookimpl\ndef framing(service): return Fixed\n",
            r"framing: .*missing 1 required positional argument: 'size'",
        ),
        ("@hookimpl\ndef framing(service): 1 / 0\n", "failed in framing: ZeroDivisionError"),
        ("@hookimpl\ndef configure(config): 1 / 0\n", "failed in configure: ZeroDivisionError"),
        ("import os\nos._exit(7)\n", "ended the process while loading, with exit status 7"),
        ("while True: pass\n", r"did not finish loading in 0\.5 s"),
    ],
)
def test_a_plugin_that_a_worker_would_refuse_is_reported(
    settings: Callable[..., Settings], write_plugin: Callable[..., str], source: str, words: str
) -> None:
    plugins = write_plugin(ECHO, "fine"), write_plugin(source + ECHO)
    # Short only where it must pass: a loaded machine needs time to reach the plugin.
    boot_timeout = "0.5s" if "while True" in source else "30s"
    with pytest.raises(PluginError, match=rf"^plugin made:? {words}"):
        dry_run(settings(*plugins, boot_timeout=boot_timeout), None)


def test_two_plugins_that_cannot_be_in_one_service_are_reported(
    settings: Callable[..., Settings], write_plugin: Callable[..., str], tmp_path: Path
) -> None:
    other = tmp_path / "other" / "made.py"
    other.parent.mkdir()
    other.write_text(Path(write_plugin(ECHO)).read_text())
    with pytest.raises(PluginError, match="two plugins are named 'made'"):
        dry_run(settings(write_plugin(ECHO), str(other)), None)


def test_the_event_loop_of_an_async_plugin_is_made(
    settings: Callable[..., Settings], write_plugin: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin = write_plugin("@hookimpl\nasync def receive(connection, data): ...\n")
    assert dry_run(settings(plugin), None).without_receive == []
    monkeypatch.setitem(sys.modules, "uvloop", None)
    with pytest.raises(ReactorhostError, match="uvloop"):
        dry_run(settings(plugin, event_loop="uvloop"), None)


@pytest.mark.skipif(os.geteuid() != 0, reason="changes the user")
@pytest.mark.parametrize("path", [Path("made.py"), Path("folder/made.py")])
def test_a_file_that_the_workers_user_cannot_read_is_reported(
    settings: Callable[..., Settings], write_plugin: Callable[..., str], path: Path
) -> None:
    # Not below tmp_path: another user cannot enter any folder there.
    folder = Path(tempfile.mkdtemp())
    try:
        folder.chmod(0o711)
        plugin = folder / path
        plugin.parent.mkdir(0o700, exist_ok=True)
        shutil.copyfile(write_plugin(ECHO), plugin)
        plugin.chmod(0o600)
        assert dry_run(settings(str(plugin)), None).without_receive == []
        with pytest.raises(PluginError, match=f"^user .* cannot read the plugin file {plugin}$"):
            dry_run(settings(str(plugin)), Account(NOBODY, NOBODY, "nobody"))
    finally:
        shutil.rmtree(folder)


def test_the_tables_of_all_plugins_are_reported_together(
    settings: Callable[..., Settings], write_plugin: Callable[..., str]
) -> None:
    plugins = write_plugin(ECHO, "one"), write_plugin(ECHO, "two")
    with pytest.raises(ReactorhostError) as caught:
        dry_run(settings(*plugins, set=["one.x=1", "two.y=2"]), None)
    assert caught.value.exit_status == 2
    assert "plugin one has no options, so 'x' has no effect" in caught.value.what
    assert "plugin two has no options, so 'y' has no effect" in caught.value.what


def test_everything_that_is_wrong_with_the_plugins_is_reported_together(
    settings: Callable[..., Settings], write_plugin: Callable[..., str]
) -> None:
    plugins = (
        write_plugin("1 / 0\n" + ECHO, "broken"),
        write_plugin("import nowhere_to_be_found\n" + ECHO, "lacking"),
        write_plugin(ECHO, "table"),
        write_plugin("@hookimpl\ndef configure(config): raise RuntimeError('no')\n" + ECHO, "refuses"),
    )
    with pytest.raises(ReactorhostError) as caught:
        dry_run(settings(*plugins, set=["table.x=1"], bus_url="nats://127.0.0.1"), None)
    assert [each.what for each in caught.value.problems] == [
        "plugin broken failed to import: ZeroDivisionError: division by zero",
        "plugin lacking failed to import: ModuleNotFoundError: No module named 'nowhere_to_be_found'",
        "plugin table has no options, so 'x' has no effect",
        "plugin refuses failed in configure: RuntimeError: no",
        "no installed distribution provides a bus for nats://",
    ]
    assert "ZeroDivisionError" in (caught.value.details or "")


def test_what_the_services_need_is_reported_together(tmp_path: Path, write_plugin: Callable[..., str]) -> None:
    source = """
from reactorhost import Option, SetupError
@hookimpl
def options(): return [Option("x", int, default=1)]
@hookimpl
def framing(service):
    raise SetupError(f"{service} has no servers")
"""
    needs, fine = write_plugin(source + ECHO, "needs"), write_plugin(ECHO)
    config = tmp_path / "host.toml"
    text = "".join(
        f'[service.{name}]\nlisten = "tcp://127.0.0.1:0"\nplugins = ["{plugin}"]\n'
        for name, plugin in (("one", needs), ("two", needs), ("three", fine))
    )
    config.write_text(text)
    flags = {"config": str(config), "run_dir": str(tmp_path / "run")}
    with pytest.raises(ReactorhostError) as caught:
        dry_run(resolve(flags, {}, tmp_path), None)
    failed = "plugin needs failed in framing: {} has no servers"
    assert [each.what for each in caught.value.problems] == [failed.format("one"), failed.format("two")]
    assert caught.value.exit_status == 4
    # What it needs depends on options that have to be corrected first.
    config.write_text(text + "[plugin.needs]\nx = 'y'\n")
    with pytest.raises(ReactorhostError) as caught:
        dry_run(resolve(flags, {}, tmp_path), None)
    assert ["'x' of plugin needs" in each.what for each in caught.value.problems] == [True]


def test_a_service_that_discards_what_clients_send_is_returned(
    settings: Callable[..., Settings], write_plugin: Callable[..., str]
) -> None:
    greets = write_plugin("@hookimpl\ndef connect(connection): ...\n", "greets")
    assert dry_run(settings(greets), None).without_receive == ["default"]
    assert dry_run(settings(greets, write_plugin(ECHO)), None).without_receive == []


def test_a_service_without_a_framing_has_no_time_for_messages(
    settings: Callable[..., Settings], write_plugin: Callable[..., str]
) -> None:
    plugin = write_plugin(ECHO)
    assert dry_run(settings(plugin, message_timeout="5s"), None).without_message_timeout == ["default"]
    assert dry_run(settings(plugin, message_timeout="5s", framing="lines"), None).without_message_timeout == []
    assert dry_run(settings(plugin), None).without_message_timeout == []


def test_the_framing_is_reported_with_the_tables_unless_a_plugin_could_bring_it(
    settings: Callable[..., Settings], write_plugin: Callable[..., str]
) -> None:
    brings = write_plugin(ECHO + "@hookimpl\ndef framings():\n    return {'cells': lambda: None}\n", "brings")
    mistakes = {"set": ["one.x=1"], "framing": "cell"}
    with pytest.raises(ReactorhostError) as caught:
        dry_run(settings(write_plugin(ECHO, "one"), brings, **mistakes), None)
    assert "plugin one has no options" in caught.value.what
    assert "there is no framing 'cell'; did you mean 'cells'?" in caught.value.what
    with pytest.raises(ReactorhostError) as caught:
        dry_run(settings(brings, set=["brings.x=1"], framing="cell"), None)
    assert "there is no framing" not in caught.value.what
    with pytest.raises(ReactorhostError, match=r"None has no method feed\(data\)"):
        dry_run(settings(brings, framing="cells"), None)
