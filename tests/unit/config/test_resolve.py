"""Settings are merged from flag, environment, file and default, and one error reports all problems."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactorhost.config.problems import FlagError
from reactorhost.config.resolve import Location, locate, resolve
from reactorhost.config.settings import BY_NAME, HOST_KEYS, HOST_TABLES, TABLE, Layer, Settings
from reactorhost.config.worker_count import WorkerRange
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


def reported(error: ConfigError, path: str) -> list[tuple[str, str]]:
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
    assert (found.stop_timeout, found.boot_timeout, found.drain_timeout) == (8, 30, 3600)
    assert (found.retire_delay, found.idle_timeout, found.close_timeout) == (65, None, 10)
    assert (found.log_file, found.log_format, found.log_level) == (None, "auto", "info")
    assert (found.user, found.group, found.plugin_tables) == (None, None, {})


def test_the_uid_is_that_of_the_process_by_default() -> None:
    found = resolve({"plugins": ("echo",)}, {"TMPDIR": "/t"}, CWD)
    assert found.run_dir.is_relative_to("/run/reactorhost" if os.geteuid() == 0 else f"/t/reactorhost-{os.geteuid()}")


@given(st.sets(st.sampled_from([Layer.FLAG, Layer.ENVIRONMENT, Layer.FILE])))
def test_the_strongest_layer_with_a_value_decides(
    tmp_path_factory: pytest.TempPathFactory, speaking: set[Layer]
) -> None:
    path = tmp_path_factory.mktemp("layers") / "host.toml"
    path.write_text(SERVICE + ("[host]\nbacklog = 3\n" if Layer.FILE in speaking else ""))
    flags = {"config": str(path)} | ({"backlog": 1} if Layer.FLAG in speaking else {})
    environ = {"REACTORHOST_BACKLOG": "2"} if Layer.ENVIRONMENT in speaking else {}
    found = resolve(flags, environ, CWD, uid=1000, cpus=lambda: 4)
    strongest = next(source for source in Layer if source in {*speaking, Layer.DEFAULT})
    assert found.origins["backlog"].layer is strongest
    assert found.backlog == [1, 2, 3, 102400][list(Layer).index(strongest)]


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
    "when_full": "refuse",
    "max_send_buffer": "64KiB", "stop_timeout": "2m", "boot_timeout": "500ms", "drain_timeout": "2h",
    "retire_delay": "3", "idle_timeout": "4s", "stall_timeout": "6s", "close_timeout": "5s",
    "event_loop": "uvloop", "poller": "selectors", "peer_timeout": "7m",
    "threads": "2", "thread_queue": "9", "slow_hook": "50ms",
    "message_timeout": "9s", "max_age": "2h", "max_rss": "512MiB", "max_connections_per_worker": "11",
    "max_messages_per_worker": "12", "admin": "tcp://127.0.0.1:9901", "ready_min": "2", "drain_delay": "5s",
    "reload_on_change": "yes", "debug": "yes",
    "bus_url": "redis://h:1", "bus_max_message": "2KiB", "bus_max_queue": "65KiB", "bus_down_period": "9s",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(setting.name for setting in TABLE if setting.table in HOST_TABLES))
def test_every_setting_has_the_same_value_from_flag_environment_and_file(name: str, write: Write) -> None:
    text = GOOD[name]
    table, key = BY_NAME[name].table, BY_NAME[name].key
    bare = "true" if text == "yes" else text if text.isdecimal() else f"'{text}'"
    from_flag = getattr(settings({name: text}), name)
    from_environment = getattr(settings({}, {f"REACTORHOST_{name.upper()}": text}), name)
    from_file = getattr(of_file(write(f"{SERVICE}[{table}]\n{key} = {bare}\n")), name)
    assert from_flag == from_environment == from_file != getattr(settings({}), name)


@pytest.mark.parametrize("empty", [None, (), []], ids=repr)
def test_a_flag_that_is_not_given_does_not_override(empty: object) -> None:
    flags = {setting.name: empty for setting in TABLE}
    environ = {"REACTORHOST_PLUGINS": "echo", "REACTORHOST_WORKERS": "2"}
    assert resolve(flags, environ, CWD, uid=0, cpus=lambda: 1).workers == 2


@pytest.mark.parametrize("empty", ["", "  "], ids=repr)
def test_an_empty_variable_counts_as_unset(empty: str) -> None:
    assert settings({}, {"REACTORHOST_WORKERS": empty, "REACTORHOST_LISTEN": empty}).workers == 4


def test_unrelated_variables_are_ignored() -> None:
    strange = {"REACTORHOST_PORT_9000_TCP": "tcp://10.0.0.1:9000", "REACTORHOST_SERVICE_HOST": "x"}
    assert settings({}, strange) == settings({})


def test_a_switch_can_be_turned_off_by_a_flag(write: Write) -> None:
    path = write(SERVICE + "[host]\ndaemon = true\n")
    assert of_file(path).daemon is True
    found = of_file(path, {"daemon": False})
    assert found.daemon is False
    assert found.where("daemon") == "--foreground"


# Workers, paths, services


@pytest.mark.parametrize(("cpus", "workers"), [(1, 1), (7, 7), (300, 256)])
def test_auto_is_one_worker_for_each_cpu(cpus: int, workers: int) -> None:
    found = resolve({"plugins": ("echo",), "workers": "auto"}, {}, CWD, uid=0, cpus=lambda: cpus)
    assert found.workers == workers
    assert str(found.origins["workers"]) == "flag --workers (auto)"


def test_a_range_of_workers_starts_with_the_fewest(write: Write) -> None:
    path = write(SERVICE + "[host]\nworkers = { min = 2, max = 16 }\n")
    found = of_file(path)
    assert (found.workers, found.workers_range, found.most_workers) == (2, WorkerRange(2, 16), 16)
    assert str(found.origins["workers"]) == f"{path}:5"
    by_variable = of_file(path, REACTORHOST_WORKERS="3-4")
    assert (by_variable.workers, by_variable.most_workers) == (3, 4)
    fixed = of_file(path, {"workers": "5"}, REACTORHOST_WORKERS="3-4")
    assert (fixed.workers, fixed.workers_range, fixed.most_workers) == (5, None, 5)


def test_relative_paths_are_relative_to_where_they_are_written(write: Write, tmp_path: Path) -> None:
    path = write(SERVICE + "[host]\nrun_dir = 'run'\nlog_file = 'logs/a.log'\n")
    found = of_file(path, {"pid_file": "x.pid"}, REACTORHOST_LOG_FILE="b.log")
    assert found.run_dir == tmp_path / "run"
    assert found.pid_file == CWD / "x.pid"
    assert found.log_file == CWD / "b.log"


def test_a_variable_can_name_the_configuration_file_relative_to_the_working_directory(tmp_path: Path) -> None:
    (tmp_path / "host.toml").write_text(SERVICE)
    found = resolve({}, {"REACTORHOST_CONFIG": "host.toml"}, tmp_path, uid=0)
    assert found.config_file == tmp_path / "host.toml"


def test_the_run_directory_follows_from_the_name() -> None:
    found = settings({"name": "blue"}, {"XDG_RUNTIME_DIR": "/run/user/1000"})
    assert found.run_dir == Path("/run/user/1000/reactorhost/blue")
    assert settings({"run_dir": "/x"}).pid_file == Path("/x/master.pid")


def test_lists_are_comma_separated_variables_and_repeated_flags(tmp_path: Path) -> None:
    environ = {"REACTORHOST_PLUGINS": "accesslog, echo,", "REACTORHOST_LISTEN": "tcp://*:1,unix:///s"}
    (service,) = resolve({}, environ, CWD, uid=0).services
    assert service.plugins == ("accesslog", "echo")
    assert [str(each) for each in service.listen] == ["tcp://*:1", "unix:///s"]
    (service,) = resolve({"plugins": ("a,b", "./c.py")}, environ, CWD, uid=0).services
    assert service.plugins == ("a,b", "/home/op/c.py")


def test_a_single_text_is_a_list_with_one_element() -> None:
    (service,) = resolve({"plugins": "echo", "listen": "tcp://*:1"}, {}, CWD, uid=0).services
    assert (service.plugins, str(*service.listen)) == (("echo",), "tcp://*:1")


def test_flag_and_variable_together_replace_the_services_of_the_file(write: Write) -> None:
    path = write(SERVICE + SERVICE.replace("web", "api").replace(":1", ":2"))
    (service,) = of_file(path, {"plugins": ("x",)}, REACTORHOST_LISTEN="tcp://*:5").services
    assert (service.name, service.plugins, str(*service.listen)) == ("default", ("x",), "tcp://*:5")


def test_a_variable_for_one_of_several_services_is_reported(write: Write) -> None:
    path = write(SERVICE + SERVICE.replace("web", "api").replace(":1", ":2"))
    error = error_of(path, REACTORHOST_LISTEN="tcp://*:5")
    assert reported(error, path) == [
        ("REACTORHOST_LISTEN does not say which service it is for; the file has 2: web, api", "REACTORHOST_LISTEN")
    ]
    assert error.exit_status == 1


def test_services_that_flags_replace_may_be_incomplete(write: Write) -> None:
    path = write("[service.web]\nlisten = 'tcp://*:1'\n")
    (service,) = of_file(path, {"plugins": ("x",)}).services
    assert (service.name, service.plugins) == ("web", ("x",))
    assert reported(error_of(path), path) == [("service 'web' has no plugins", "FILE:1")]


# Plugin tables


def test_plugin_tables_are_kept_unchanged(write: Write) -> None:
    path = write(SERVICE.replace("'echo'", "['echo', './my.py', 'm:o']") + "[plugin.echo]\na = [[1]]\n[plugin.my]\n"
                 "[plugin.'m:o']\nx = 1\n")  # fmt: skip
    found = of_file(path)
    assert found.plugin_tables == {"echo": {"a": [[1]]}, "my": {}, "m:o": {"x": 1}}
    assert found.where("plugin.echo.a") == f"{path}:5"
    assert found.where("plugin.my") == f"{path}:6"


def test_a_table_for_a_plugin_that_no_service_names_is_reported(write: Write) -> None:
    path = write(SERVICE + "[plugin.ecko]\n\n[plugin.zzz]\n")
    error = error_of(path)
    assert reported(error, path) == [
        ("[plugin.ecko] is for a plugin that no service uses", "FILE:4"),
        ("[plugin.zzz] is for a plugin that no service uses", "FILE:6"),
    ]
    assert [problem.hint for problem in error.problems] == ["did you mean 'echo'?", "the services use: echo"]


def test_a_table_of_a_plugin_that_flags_replaced_is_accepted(write: Write) -> None:
    path = write(SERVICE + "[plugin.echo]\n[plugin.x]\n")
    assert of_file(path, {"plugins": ("x",)}).plugin_tables.keys() == {"echo", "x"}


@pytest.mark.parametrize(
    ("text", "what", "line"),
    [
        ("plugin = 3\n", "plugin must be a table of tables, not 3", 1),
        ("[plugin]\necho = true\n", "plugin.echo must be a table, not true", 2),
    ],
)
def test_plugin_tables_that_are_not_tables_are_reported(write: Write, text: str, what: str, line: int) -> None:
    path = write(text + SERVICE)
    assert reported(error_of(path), path) == [(what, f"FILE:{line}")]


# Problems


def test_one_error_reports_all_problems_with_their_places(write: Write) -> None:
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
    assert sorted(reported(error, path), key=lambda pair: pair[1]) == [
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
    assert hints["unknown table or key 'workers'"] == "move workers to [host]"
    assert hints["unknown table or key 'hots'"] == "did you mean 'host'?"
    assert hints["unknown key 'stop_timout' in [host]"] == "did you mean 'stop_timeout'?"
    assert hints["unknown key 'listen' in [host]"] == "move listen to [service.NAME]"
    assert error.exit_status == 1


def test_an_unknown_table_is_reported_with_the_known_ones(write: Write) -> None:
    error = error_of(write(SERVICE + "[xyz]\n"))
    assert error.problems[0].hint == "use one of: bus, host, plugin, service"


@pytest.mark.parametrize("name", HOST_TABLES)
def test_a_value_in_place_of_a_table_is_reported(name: str, write: Write) -> None:
    path = write(f"{name} = 3\n" + SERVICE)
    assert reported(error_of(path), path) == [(f"{name} must be a table, not 3", "FILE:1")]


def test_a_key_in_the_wrong_table_is_reported_with_the_right_one(write: Write) -> None:
    path = write(SERVICE + "[host]\nmax_queue = '1MiB'\n[bus]\nworkers = 2\nmax_queu = 3\n")
    hints = {problem.what: problem.hint for problem in error_of(path).problems}
    assert hints == {
        "unknown key 'max_queue' in [host]": "move max_queue to [bus]",
        "unknown key 'workers' in [bus]": "move workers to [host]",
        "unknown key 'max_queu' in [bus]": "did you mean 'max_queue'?",
    }


@pytest.mark.parametrize("url", ["", "10.0.0.1", "redis://", "redis://:secret@h x", "//secret"])
def test_an_invalid_url_of_the_bus_is_refused_without_its_text(url: str, write: Write) -> None:
    path = write(SERVICE + f"[bus]\nurl = '{url}'\n")
    ((what, where),) = reported(error_of(path), path)
    assert where == "FILE:5"
    assert what.startswith("url must be ")
    assert "secret" not in what


def test_an_invalid_value_in_the_file_is_reported_although_a_flag_overrides_it(write: Write) -> None:
    path = write(SERVICE + "[host]\nworkers = 'four'\n")
    assert [where for _, where in reported(error_of(path, {"workers": "2"}), path)] == ["FILE:5"]


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
def test_an_invalid_flag_is_a_usage_error(flags: dict[str, object], where: str) -> None:
    with pytest.raises(FlagError) as caught:
        settings(flags)
    assert caught.value.exit_status == 2
    assert [problem.where for problem in caught.value.problems] == [where]


def test_an_invalid_variable_is_not_a_usage_error() -> None:
    with pytest.raises(ConfigError) as caught:
        settings({}, {"REACTORHOST_WORKERS": "four"})
    assert caught.value.exit_status == 1
    assert caught.value.problems[0].where == "REACTORHOST_WORKERS"


def test_problems_in_flag_and_file_are_reported_as_a_usage_error(write: Write) -> None:
    path = write(SERVICE + "[host]\nworkers = 0\n")
    error = error_of(path, {"backlog": "x"})
    assert [where for _, where in reported(error, path)] == ["FILE:5", "--backlog"]
    assert error.exit_status == 2


def test_an_unreadable_file_does_not_hide_other_problems(tmp_path: Path) -> None:
    path = str(tmp_path / "none.toml")
    error = error_of(path, REACTORHOST_WORKERS="x")
    assert [where for _, where in reported(error, path)] == ["FILE", "REACTORHOST_WORKERS"]
    assert error.exit_status == 1


def test_a_syntax_error_is_reported_with_file_and_line(write: Write) -> None:
    path = write("[host]\nworkers = \n")
    assert [where for _, where in reported(error_of(path), path)] == ["FILE:2"]


# No plugin


@pytest.mark.parametrize(
    ("installed", "hint"),
    [
        ([], "add the path of a file: ./FILE.py"),
        (["echo"], "add its name: echo"),
        (["echo", "accesslog"], "add its name (installed: accesslog, echo)"),
    ],
)
@pytest.mark.parametrize("flags", [{}, {"listen": ("tcp://*:1",)}], ids=repr)
def test_without_a_plugin_the_hint_shows_how_to_name_one(
    flags: dict[str, object], installed: list[str], hint: str
) -> None:
    with pytest.raises(UsageError) as caught:
        resolve(flags, {}, CWD, uid=0, installed=installed)
    assert caught.value.exit_status == 2
    assert caught.value.hint == hint


def test_a_file_without_services_names_no_plugin(write: Write) -> None:
    with pytest.raises(UsageError, match="no plugin is named"):
        of_file(write("[host]\nworkers = 1\n"))


def test_a_missing_plugin_is_reported_with_other_problems() -> None:
    with pytest.raises(ConfigError) as caught:
        resolve({}, {"REACTORHOST_WORKERS": "x"}, CWD, uid=0)
    assert [problem.where for problem in caught.value.problems] == ["REACTORHOST_WORKERS", None]
    assert caught.value.exit_status == 1


def test_installed_plugins_are_listed_only_if_none_is_named() -> None:
    installed = iter(["echo"])
    resolve({"plugins": ("echo",)}, {}, CWD, uid=0, installed=installed)
    assert list(installed) == ["echo"]


def test_settings_can_be_resolved_without_a_plugin() -> None:
    assert resolve({}, {}, CWD, uid=0, needs_plugin=False).services == ()
    (service,) = resolve({"listen": "tcp://*:1"}, {}, CWD, uid=0, needs_plugin=False).services
    assert service.plugins == ()


# The location of an instance


def test_an_instance_is_located_by_the_same_layers(write: Write) -> None:
    path = write("[host]\nname = 'blue'\nworkers = 'wrong, but another matter'\n")
    here = locate({}, {"REACTORHOST_CONFIG": path}, CWD, uid=0)
    assert here == Location("blue", Path("/run/reactorhost/blue"), by_name=True)
    assert locate({"name": "x"}, {"REACTORHOST_CONFIG": path}, CWD, uid=0).name == "x"
    there = locate({"run_dir": "r"}, {"REACTORHOST_RUN_DIR": "/e"}, CWD, uid=0)
    assert there == Location("default", CWD / "r", by_name=False)


def test_an_invalid_file_prevents_locating_only_if_no_flag_names_the_instance(write: Write) -> None:
    environ = {"REACTORHOST_CONFIG": write("[host")}
    with pytest.raises(ConfigError, match="not valid TOML"):
        locate({}, environ, CWD, uid=0)
    assert locate({"name": "x"}, environ, CWD, uid=0).name == "x"
    assert locate({}, environ | {"REACTORHOST_RUN_DIR": "/r"}, CWD, uid=0).run_dir == Path("/r")


def test_an_invalid_instance_name_is_a_usage_error() -> None:
    with pytest.raises(FlagError) as caught:
        locate({"name": "../x"}, {}, CWD, uid=0)
    assert isinstance(caught.value.problems[0], Problem)
    assert caught.value.problems[0].where == "--name"


def test_a_misspelled_variable_is_reported_and_unrelated_ones_are_not(tmp_path: Path) -> None:
    others = {
        "REACTORHOST_PORT": "tcp://10.0.0.1:80",
        "REACTORHOST_SERVICE_HOST": "10.0.0.1",
        "REACTORHOST_COMPLETE": "",
    }
    resolve({"plugins": ["echo"]}, others, tmp_path)
    with pytest.raises(ConfigError) as caught:
        resolve({"plugins": ["echo"]}, {**others, "REACTORHOST_WORKRES": "2", "REACTORHOST_PLUGIN": "x"}, tmp_path)
    reported = "\n".join(caught.value.lines())
    assert "where: REACTORHOST_WORKRES" in reported
    assert "did you mean 'REACTORHOST_WORKERS'?" in reported
    assert "did you mean 'REACTORHOST_PLUGINS'?" in reported
    assert len(caught.value.problems) == 2


def test_run_directory_and_pid_file_stay_when_a_link_to_them_is_moved(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "current").symlink_to("one")
    flags = {"run_dir": "run", "pid_file": "host.pid", "log_file": "host.log"}
    found = resolve({"plugins": ("echo",), **flags}, {}, tmp_path / "current", uid=1000)
    assert (found.run_dir, found.pid_file) == (tmp_path / "one" / "run", tmp_path / "one" / "host.pid")
    assert found.log_file == tmp_path / "current" / "host.log"
