"""Settings are merged from flag, environment, file and default, and all that is wrong is told at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactorhost.config.problems import FlagError
from reactorhost.config.resolve import locate, resolve
from reactorhost.config.settings import HOST_KEYS, TABLE, Settings, Source
from reactorhost.errors import ConfigError, Problem, UsageError

CWD = Path("/home/op")
SERVICE = "[service.web]\nlisten = 'tcp://*:1'\nplugins = 'echo'\n"
Write = Callable[[str], str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(text: str) -> str:
        (tmp_path / "host.toml").write_text(text)
        return str(tmp_path / "host.toml")

    return write


def settings(flags: Mapping[str, object], environ: Mapping[str, str] | None = None) -> Settings:
    return resolve({"plugins": ("echo",)} | dict(flags), environ or {}, CWD, uid=1000, cpus=lambda: 4)


def of_file(path: str, flags: Mapping[str, object] | None = None, **environ: str) -> Settings:
    return resolve({"config": path} | dict(flags or {}), environ, CWD, uid=1000, cpus=lambda: 4)


def error_of(path: str, flags: Mapping[str, object] | None = None, **environ: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        of_file(path, flags, **environ)
    return caught.value


def told(error: ConfigError, path: str) -> list[tuple[str, str]]:
    return [(problem.what, (problem.where or "").replace(path, "FILE")) for problem in error.problems]


# Defaults and the order of the layers


def test_one_plugin_is_enough() -> None:
    found = settings({})
    assert [(service.name, service.plugins, str(*service.listen)) for service in found.services] == [
        ("default", ("echo",), "tcp://127.0.0.1:9000")
    ]
    assert (found.name, found.workers, found.daemon, found.config_file) == ("default", 4, False, None)
    assert found.run_dir == Path("/tmp/reactorhost-1000/default")
    assert found.pid_file == found.run_dir / "master.pid"
    assert (found.backlog, found.max_connections, found.max_send_buffer) == (102400, 65536, 16 << 20)
    assert (found.stop_timeout, found.boot_timeout, found.drain_timeout) == (10, 30, 3600)
    assert (found.retire_delay, found.idle_timeout, found.close_timeout) == (65, None, 10)
    assert (found.log_file, found.log_format, found.log_level) == (None, "text", "info")
    assert (found.user, found.group, found.plugin_tables) == (None, None, {})


def test_the_uid_is_the_processs_own_unless_told() -> None:
    found = resolve({"plugins": ("echo",)}, {"TMPDIR": "/t"}, CWD)
    assert found.run_dir.is_relative_to("/run/reactorhost" if os.geteuid() == 0 else f"/t/reactorhost-{os.geteuid()}")


@given(st.sets(st.sampled_from([Source.FLAG, Source.ENVIRONMENT, Source.FILE])))
def test_the_strongest_layer_that_speaks_is_heard(
    tmp_path_factory: pytest.TempPathFactory, speaking: set[Source]
) -> None:
    path = tmp_path_factory.mktemp("layers") / "host.toml"
    path.write_text(SERVICE + ("[host]\nbacklog = 3\n" if Source.FILE in speaking else ""))
    flags = {"config": str(path)} | ({"backlog": 1} if Source.FLAG in speaking else {})
    environ = {"REACTORHOST_BACKLOG": "2"} if Source.ENVIRONMENT in speaking else {}
    found = resolve(flags, environ, CWD, uid=1000, cpus=lambda: 4)
    strongest = next(source for source in Source if source in {*speaking, Source.DEFAULT})
    assert found.origins["backlog"].source is strongest
    assert found.backlog == [1, 2, 3, 102400][list(Source).index(strongest)]


def test_each_value_knows_its_origin(write: Write) -> None:
    path = write(SERVICE + "[host]\nbacklog = 3\n")
    found = of_file(path, {"workers": "2"}, REACTORHOST_NAME="x")
    assert str(found.origins["workers"]) == "flag --workers"
    assert str(found.origins["name"]) == "environment REACTORHOST_NAME"
    assert str(found.origins["backlog"]) == f"{path}:5"
    assert str(found.origins["user"]) == "default"
    assert str(found.origins["service.web.listen"]) == f"{path}:2"
    assert found.where("service.web.plugins") == f"{path}:3"
    assert found.where("user") is None
    assert found.where("no such key") is None
    assert found.origins.keys() >= HOST_KEYS | {"config_file"}


GOOD = {
    "workers": "3", "name": "x", "daemon": "yes", "run_dir": "/r", "pid_file": "/p", "log_file": "/l",
    "log_format": "json", "log_level": "debug", "user": "u", "group": "g", "backlog": "7", "max_connections": "8",
    "max_send_buffer": "64KiB", "stop_timeout": "2m", "boot_timeout": "500ms", "drain_timeout": "2h",
    "retire_delay": "3", "idle_timeout": "4s", "stall_timeout": "6s", "close_timeout": "5s",
    "event_loop": "uvloop", "poller": "selectors", "peer_timeout": "7m",
    "threads": "2", "thread_queue": "9", "slow_hook": "50ms",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(HOST_KEYS))
def test_every_setting_is_read_alike_from_flag_environment_and_file(name: str, write: Write) -> None:
    text = GOOD[name]
    bare = "true" if name == "daemon" else text if text.isdecimal() else f"'{text}'"
    from_flag = getattr(settings({name: text}), name)
    from_environment = getattr(settings({}, {f"REACTORHOST_{name.upper()}": text}), name)
    from_file = getattr(of_file(write(f"{SERVICE}[host]\n{name} = {bare}\n")), name)
    assert from_flag == from_environment == from_file != getattr(settings({}), name)


@pytest.mark.parametrize("empty", [None, (), []], ids=repr)
def test_an_option_that_was_not_given_is_not_heard(empty: object) -> None:
    flags = {setting.name: empty for setting in TABLE}
    environ = {"REACTORHOST_PLUGINS": "echo", "REACTORHOST_WORKERS": "2"}
    assert resolve(flags, environ, CWD, uid=0, cpus=lambda: 1).workers == 2


@pytest.mark.parametrize("empty", ["", "  "], ids=repr)
def test_an_empty_variable_is_as_if_unset(empty: str) -> None:
    assert settings({}, {"REACTORHOST_WORKERS": empty, "REACTORHOST_LISTEN": empty}).workers == 4


def test_variables_of_strangers_are_ignored() -> None:
    strange = {"REACTORHOST_PORT_9000_TCP": "tcp://10.0.0.1:9000", "REACTORHOST_SERVICE_HOST": "x"}
    assert settings({}, strange) == settings({})


def test_a_switch_can_be_switched_off_again(write: Write) -> None:
    path = write(SERVICE + "[host]\ndaemon = true\n")
    assert of_file(path).daemon is True
    found = of_file(path, {"daemon": False})
    assert found.daemon is False
    assert found.where("daemon") == "--foreground"


# Workers, places, services


@pytest.mark.parametrize(("cpus", "workers"), [(1, 1), (7, 7), (300, 256)])
def test_auto_is_one_worker_for_each_cpu(cpus: int, workers: int) -> None:
    found = resolve({"plugins": ("echo",), "workers": "auto"}, {}, CWD, uid=0, cpus=lambda: cpus)
    assert found.workers == workers
    assert str(found.origins["workers"]) == "flag --workers (auto)"


def test_relative_paths_start_where_they_were_written(write: Write, tmp_path: Path) -> None:
    path = write(SERVICE + "[host]\nrun_dir = 'run'\nlog_file = 'logs/a.log'\n")
    found = of_file(path, {"pid_file": "x.pid"}, REACTORHOST_LOG_FILE="b.log")
    assert found.run_dir == tmp_path / "run"
    assert found.pid_file == CWD / "x.pid"
    assert found.log_file == CWD / "b.log"


def test_the_configuration_file_may_be_named_by_the_environment_from_here(tmp_path: Path) -> None:
    (tmp_path / "host.toml").write_text(SERVICE)
    found = resolve({}, {"REACTORHOST_CONFIG": "host.toml"}, tmp_path, uid=0)
    assert found.config_file == tmp_path / "host.toml"


def test_the_name_decides_the_run_directory() -> None:
    found = settings({"name": "blue"}, {"XDG_RUNTIME_DIR": "/run/user/1000"})
    assert found.run_dir == Path("/run/user/1000/reactorhost/blue")
    assert settings({"run_dir": "/x"}).pid_file == Path("/x/master.pid")


def test_lists_are_commas_in_the_environment_and_repeated_flags(tmp_path: Path) -> None:
    environ = {"REACTORHOST_PLUGINS": "accesslog, echo,", "REACTORHOST_LISTEN": "tcp://*:1,unix:///s"}
    (service,) = resolve({}, environ, CWD, uid=0).services
    assert service.plugins == ("accesslog", "echo")
    assert [str(each) for each in service.listen] == ["tcp://*:1", "unix:///s"]
    (service,) = resolve({"plugins": ("a,b", "./c.py")}, environ, CWD, uid=0).services
    assert service.plugins == ("a,b", "/home/op/c.py")


def test_a_single_text_is_a_list_of_one() -> None:
    (service,) = resolve({"plugins": "echo", "listen": "tcp://*:1"}, {}, CWD, uid=0).services
    assert (service.plugins, str(*service.listen)) == (("echo",), "tcp://*:1")


def test_flag_and_variable_together_replace_the_services_of_the_file(write: Write) -> None:
    path = write(SERVICE + SERVICE.replace("web", "api").replace(":1", ":2"))
    (service,) = of_file(path, {"plugins": ("x",)}, REACTORHOST_LISTEN="tcp://*:5").services
    assert (service.name, service.plugins, str(*service.listen)) == ("default", ("x",), "tcp://*:5")


def test_a_lone_variable_is_told_when_there_are_several_services(write: Write) -> None:
    path = write(SERVICE + SERVICE.replace("web", "api").replace(":1", ":2"))
    error = error_of(path, REACTORHOST_LISTEN="tcp://*:5")
    assert told(error, path) == [
        ("REACTORHOST_LISTEN does not say which service it is for; the file has 2: web, api", "REACTORHOST_LISTEN")
    ]
    assert error.exit_status == 1


def test_what_flags_replace_needs_not_be_complete(write: Write) -> None:
    path = write("[service.web]\nlisten = 'tcp://*:1'\n")
    (service,) = of_file(path, {"plugins": ("x",)}).services
    assert (service.name, service.plugins) == ("web", ("x",))
    assert told(error_of(path), path) == [("service 'web' has no plugins", "FILE:1")]


# Plugin tables


def test_plugin_tables_are_kept_as_they_are(write: Write) -> None:
    path = write(SERVICE.replace("'echo'", "['echo', './my.py', 'm:o']") + "[plugin.echo]\na = [[1]]\n[plugin.my]\n"
                 "[plugin.'m:o']\nx = 1\n")  # fmt: skip
    found = of_file(path)
    assert found.plugin_tables == {"echo": {"a": [[1]]}, "my": {}, "m:o": {"x": 1}}
    assert found.where("plugin.echo.a") == f"{path}:5"
    assert found.where("plugin.my") == f"{path}:6"


def test_a_table_for_a_plugin_that_nobody_names_is_told(write: Write) -> None:
    path = write(SERVICE + "[plugin.ecko]\n\n[plugin.zzz]\n")
    error = error_of(path)
    assert told(error, path) == [
        ("[plugin.ecko] is for a plugin that no service names", "FILE:4"),
        ("[plugin.zzz] is for a plugin that no service names", "FILE:6"),
    ]
    assert [problem.hint for problem in error.problems] == ["did you mean 'echo'?", "services name: echo"]


def test_a_table_of_a_plugin_that_flags_replaced_may_stay(write: Write) -> None:
    path = write(SERVICE + "[plugin.echo]\n[plugin.x]\n")
    assert of_file(path, {"plugins": ("x",)}).plugin_tables.keys() == {"echo", "x"}


@pytest.mark.parametrize(
    ("text", "what", "line"),
    [
        ("plugin = 3\n", "plugin must be a table of tables, not 3", 1),
        ("[plugin]\necho = true\n", "plugin.echo must be a table, not true", 2),
    ],
)
def test_plugin_tables_that_are_none_are_told(write: Write, text: str, what: str, line: int) -> None:
    path = write(text + SERVICE)
    assert told(error_of(path), path) == [(what, f"FILE:{line}")]


# Problems


def test_everything_that_is_wrong_is_told_at_once_with_its_place(write: Write) -> None:
    path = write(
        "workers = 3\n"
        "[hots]\n"
        "[host]\n"
        "workers = 'four'\n"
        "backlog = true\n"
        "stop_timout = 3\n"
        "listen = 'tcp://*:1'\n"
        "[service.web]\n"
        "listen = 'tcp://x'\n"
    )
    error = error_of(path, REACTORHOST_LOG_LEVEL="loud")
    assert sorted(told(error, path), key=lambda pair: pair[1]) == [
        ("unknown table or key 'workers'", "FILE:1"),
        ("unknown table or key 'hots'", "FILE:2"),
        ("workers must be a whole number from 1 to 256 or 'auto', not 'four'", "FILE:4"),
        ("backlog must be a whole number from 1 to 2147483647, not true", "FILE:5"),
        ("unknown key 'stop_timout' in [host]", "FILE:6"),
        ("unknown key 'listen' in [host]", "FILE:7"),
        ("service 'web' has no plugins", "FILE:8"),
        ("service 'web': listen 'tcp://x' has no port", "FILE:9"),
        ("log_level must be one of debug, info, warning, error, critical, not 'loud'", "REACTORHOST_LOG_LEVEL"),
    ]
    hints = {problem.what: problem.hint for problem in error.problems}
    assert hints["unknown table or key 'workers'"] == "workers belongs in [host]"
    assert hints["unknown table or key 'hots'"] == "did you mean 'host'?"
    assert hints["unknown key 'stop_timout' in [host]"] == "did you mean 'stop_timeout'?"
    assert hints["unknown key 'listen' in [host]"] == "listen belongs in [service.NAME]"
    assert error.exit_status == 1


def test_an_unknown_table_that_is_like_no_other_is_told_the_known_ones(write: Write) -> None:
    error = error_of(write(SERVICE + "[xyz]\n"))
    assert error.problems[0].hint == "known here: host, plugin, service"


def test_a_host_that_is_no_table_is_told(write: Write) -> None:
    path = write("host = 3\n" + SERVICE)
    assert told(error_of(path), path) == [("host must be a table, not 3", "FILE:1")]


def test_a_wrong_value_in_the_file_is_told_also_when_a_flag_hides_it(write: Write) -> None:
    path = write(SERVICE + "[host]\nworkers = 'four'\n")
    assert [where for _, where in told(error_of(path, {"workers": "2"}), path)] == ["FILE:5"]


FLAG_PROBLEMS: list[tuple[dict[str, object], str]] = [
    ({"workers": "four"}, "--workers"),
    ({"workers": 0}, "--workers"),
    ({"listen": ("tcp://x", "tcp://*:1")}, "--listen"),
    ({"listen": ("tcp://*:1", "tcp://*:1")}, "--listen"),
    ({"plugins": ("echo", "echo")}, "--plugin"),
    ({"plugins": ("",)}, "--plugin"),
    ({"name": "a/b"}, "--name"),
    ({"config": ""}, "--config"),
]


@pytest.mark.parametrize(("flags", "where"), FLAG_PROBLEMS, ids=repr)
def test_a_wrong_flag_is_a_wrong_call(flags: dict[str, object], where: str) -> None:
    with pytest.raises(FlagError) as caught:
        settings(flags)
    assert caught.value.exit_status == 2
    assert [problem.where for problem in caught.value.problems] == [where]


def test_a_wrong_variable_is_no_wrong_call() -> None:
    with pytest.raises(ConfigError) as caught:
        settings({}, {"REACTORHOST_WORKERS": "four"})
    assert caught.value.exit_status == 1
    assert caught.value.problems[0].where == "REACTORHOST_WORKERS"


def test_with_a_wrong_flag_and_a_wrong_file_all_is_told_as_a_wrong_call(write: Write) -> None:
    path = write(SERVICE + "[host]\nworkers = 0\n")
    error = error_of(path, {"backlog": "x"})
    assert [where for _, where in told(error, path)] == ["FILE:5", "--backlog"]
    assert error.exit_status == 2


def test_a_file_that_cannot_be_read_hides_no_other_problem(tmp_path: Path) -> None:
    path = str(tmp_path / "none.toml")
    error = error_of(path, REACTORHOST_WORKERS="x")
    assert [where for _, where in told(error, path)] == ["FILE", "REACTORHOST_WORKERS"]
    assert error.exit_status == 1


def test_a_syntax_error_is_told_with_file_and_line(write: Write) -> None:
    path = write("[host]\nworkers = \n")
    assert [where for _, where in told(error_of(path), path)] == ["FILE:2"]


# No plugin


@pytest.mark.parametrize(
    ("installed", "hint"),
    [
        ([], "name one: --plugin NAME"),
        (["echo"], "name one: --plugin echo (installed: echo)"),
        (["echo", "accesslog"], "name one: --plugin NAME (installed: accesslog, echo)"),
    ],
)
@pytest.mark.parametrize("flags", [{}, {"listen": ("tcp://*:1",)}], ids=repr)
def test_without_a_plugin_the_hint_says_how_to_name_one(
    flags: dict[str, object], installed: list[str], hint: str
) -> None:
    with pytest.raises(UsageError) as caught:
        resolve(flags, {}, CWD, uid=0, installed=installed)
    assert caught.value.exit_status == 2
    assert caught.value.hint == hint


def test_a_file_without_services_names_no_plugin(write: Write) -> None:
    with pytest.raises(UsageError, match="no plugin is named"):
        of_file(write("[host]\nworkers = 1\n"))


def test_a_missing_plugin_is_told_with_other_problems() -> None:
    with pytest.raises(ConfigError) as caught:
        resolve({}, {"REACTORHOST_WORKERS": "x"}, CWD, uid=0)
    assert [problem.where for problem in caught.value.problems] == ["REACTORHOST_WORKERS", None]
    assert caught.value.exit_status == 1


def test_installed_plugins_are_looked_at_only_when_none_is_named() -> None:
    installed = iter(["echo"])
    resolve({"plugins": ("echo",)}, {}, CWD, uid=0, installed=installed)
    assert list(installed) == ["echo"]


def test_who_only_shows_the_settings_needs_no_plugin() -> None:
    assert resolve({}, {}, CWD, uid=0, needs_plugin=False).services == ()
    (service,) = resolve({"listen": "tcp://*:1"}, {}, CWD, uid=0, needs_plugin=False).services
    assert service.plugins == ()


# Where a running instance is


def test_an_instance_is_found_by_the_same_layers(write: Write) -> None:
    path = write("[host]\nname = 'blue'\nworkers = 'wrong, but another matter'\n")
    here = locate({}, {"REACTORHOST_CONFIG": path}, CWD, uid=0)
    assert (here.name, here.run_dir) == ("blue", Path("/run/reactorhost/blue"))
    assert here.pid_file == here.run_dir / "master.pid"
    assert locate({"name": "x"}, {"REACTORHOST_CONFIG": path}, CWD, uid=0).name == "x"
    assert locate({"run_dir": "r"}, {"REACTORHOST_RUN_DIR": "/e"}, CWD, uid=0).run_dir == CWD / "r"


def test_a_broken_file_hides_an_instance_only_when_nothing_else_names_it(write: Write) -> None:
    environ = {"REACTORHOST_CONFIG": write("[host")}
    with pytest.raises(ConfigError, match="not valid TOML"):
        locate({}, environ, CWD, uid=0)
    assert locate({"name": "x"}, environ, CWD, uid=0).name == "x"
    assert locate({}, environ | {"REACTORHOST_RUN_DIR": "/r"}, CWD, uid=0).run_dir == Path("/r")


def test_a_wrong_name_of_an_instance_is_a_wrong_call() -> None:
    with pytest.raises(FlagError) as caught:
        locate({"name": "../x"}, {}, CWD, uid=0)
    assert isinstance(caught.value.problems[0], Problem)
    assert caught.value.problems[0].where == "--name"


def test_a_misspelt_variable_is_told_and_those_of_others_are_not(tmp_path: Path) -> None:
    others = {
        "REACTORHOST_PORT": "tcp://10.0.0.1:80",
        "REACTORHOST_SERVICE_HOST": "10.0.0.1",
        "REACTORHOST_COMPLETE": "",
    }
    resolve({"plugins": ["echo"]}, others, tmp_path)
    with pytest.raises(ConfigError) as caught:
        resolve({"plugins": ["echo"]}, {**others, "REACTORHOST_WORKRES": "2", "REACTORHOST_PLUGIN": "x"}, tmp_path)
    told = "\n".join(caught.value.lines())
    assert "where: REACTORHOST_WORKRES" in told
    assert "did you mean 'REACTORHOST_WORKERS'?" in told
    assert "did you mean 'REACTORHOST_PLUGINS'?" in told
    assert len(caught.value.problems) == 2
