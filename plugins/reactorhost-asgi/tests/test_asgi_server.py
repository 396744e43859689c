"""The server around applications: options, import, lifespan, access log, metrics, and the end of a worker."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from reactorhost import SetupError, Worker
from reactorhost.testing import HostFailedError, PluginBench
from reactorhost_asgi import Asgi, application
from reactorhost_asgi.access_log import Entry, combined, common
from reactorhost_asgi.application import ApplicationError
from reactorhost_asgi.lifespan import LifespanError
from reactorhost_asgi.settings import OPTIONS
from served import answers, body, get, hello, requested, served, start

Bench = Callable[..., PluginBench]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Return a folder for the module `made_site`, which is forgotten afterwards."""
    paths = list(sys.path)
    yield tmp_path
    sys.path[:] = paths
    sys.modules.pop("made_site", None)


# Options and the application.


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"app": "module"}, "it must have the form package.module:name"),
        ({"app": ":name"}, "it must have the form"),
        ({"app": "./module.py:name"}, "it must have the form"),
        ({"app": ".module:name"}, "it must have the form"),
        ({"app": "module:name."}, "it must have the form"),
        ({"forwarded_allow_ips": ["10.0.0.0/33"]}, "it must have .*, not '10.0.0.0/33'"),
        ({"forwarded_allow_ips": ["10.0.0.1/8"]}, "it must have"),
        ({"forwarded_allow_ips": ["localhost"]}, "it must have"),
        ({"forwarded_allow_ips": ["*", "unix"]}, "or [*] alone"),
        ({"keep_alive": 0.0}, "it must be above 0"),
        ({"max_header": -1}, "it must be above 0"),
        ({"request_timeout": -1.0}, "it must not be negative"),
        ({"root_path": "shop"}, "it must begin with a /"),
        ({"root_path": "/shop/"}, "and not end with one"),
        ({"root_path": "/ä"}, "it must be ASCII"),
        ({"access_log": "relative/path"}, "it must be off, log, - or an absolute path"),
        ({"server_header": "a\r\nb"}, "it must be printable ASCII"),
    ],
)
def test_a_wrong_option_is_reported(plugin_bench: Bench, options: dict[str, Any], error: str) -> None:
    with pytest.raises(ExceptionGroup) as raised:
        plugin_bench(Asgi(), options={"Asgi": {"app": "served:app", **options}})
    for each in raised.value.exceptions:
        assert isinstance(each, SetupError)
        assert each.option in options
        assert re.search(error, str(each))


def test_all_wrong_options_are_reported_together(plugin_bench: Bench) -> None:
    options = {"app": "x", "keep_alive": 0.0, "max_body": -1, "forwarded_allow_ips": ["x", "y"], "access_log": "z"}
    with pytest.raises(ExceptionGroup) as raised:
        plugin_bench(Asgi(), options={"Asgi": options})
    found = [each.option for each in raised.value.exceptions if isinstance(each, SetupError)]
    assert set(found) == set(options)
    assert len(found) == len(options) + 1


def test_the_application_must_be_named(plugin_bench: Bench) -> None:
    with pytest.raises(HostFailedError, match="needs the option 'app'"):
        plugin_bench(Asgi())


@pytest.mark.parametrize(
    ("source", "app", "error"),
    [
        ("", "missing:app", r"there is no module 'missing' in .* or installed; see app_dir"),
        ("", "made_site.missing:app", "there is no module 'made_site.missing'"),
        ("", "made_site:app", "there is no 'app' in the module made_site, to which"),
        ("app = 1", "made_site:app", "app = 'made_site:app' leads to 1, which cannot be called"),
        ("class Site: pass", "made_site:Site.app", "there is no 'app' in <class 'made_site.Site'>"),
    ],
)
def test_an_application_that_is_not_there_is_reported(folder: Path, source: str, app: str, error: str) -> None:
    (folder / "made_site.py").write_text(source)
    with pytest.raises(ApplicationError, match=error):
        application.imported(app, str(folder))


def test_a_name_that_is_not_in_the_module_has_a_hint(folder: Path) -> None:
    (folder / "made_site.py").write_text("def create_app(): pass")
    with pytest.raises(ApplicationError) as raised:
        application.imported("made_site:creat_app", str(folder))
    assert raised.value.hint == "did you mean 'create_app'?"


def test_an_import_that_fails_inside_the_application_is_raised_as_it_is(folder: Path) -> None:
    (folder / "made_site.py").write_text("import missing_library")
    with pytest.raises(ModuleNotFoundError, match="missing_library"):
        application.imported("made_site:app", str(folder))


@pytest.mark.parametrize(
    ("source", "error", "cause"),
    [
        (None, "there is no module 'made_site' in", None),
        ("def app(a, b, c, d): pass", "is neither ASGI nor WSGI", None),
        (
            "import missing_library",
            "'made_site:app' cannot be imported: ModuleNotFoundError: No module",
            ModuleNotFoundError,
        ),
        ("app = (", "'made_site:app' cannot be imported: SyntaxError: '\\(' was never closed", SyntaxError),
    ],
)
def test_an_application_that_is_wrong_is_found_before_the_worker_starts(
    folder: Path,
    source: str | None,
    error: str,
    cause: type[Exception] | None,
) -> None:
    if source is not None:
        (folder / "made_site.py").write_text(source)
    options = {each.name: each.default for each in OPTIONS}
    with pytest.raises(ApplicationError, match=error) as caught:
        Asgi().configure({**options, "app": "made_site:app", "app_dir": str(folder)})
    assert (caught.value.option, type(caught.value.__cause__)) == ("app", cause or type(None))


def test_a_factory_is_called_in_the_event_loop(plugin_bench: Bench) -> None:
    loops: list[Any] = []

    def make() -> Any:
        loops.append(asyncio.get_running_loop())
        return hello

    assert requested(served(plugin_bench, make, factory=True), get())[0].status == 200
    assert len(loops) == 1


def test_a_factory_makes_the_application(plugin_bench: Bench) -> None:
    assert requested(served(plugin_bench, lambda: hello, factory=True, lifespan="off"), get())[0].status == 200
    with pytest.raises(ApplicationError, match="the factory 'served:app' has returned None"):
        served(plugin_bench, lambda: None, factory=True)
    with pytest.raises(ApplicationError, match="takes no arguments: set factory = true"):
        served(plugin_bench, lambda: hello)


class Asgi2:
    """An application of ASGI 2."""

    def __init__(self, scope: Any) -> None:
        self.scope = scope

    async def __call__(self, receive: Any, send: Any) -> None:
        await hello(self.scope, receive, send)


class Callable3:
    """An application whose call is a plain function."""

    def __call__(self, scope: Any, receive: Any, send: Any) -> Any:
        return hello(scope, receive, send)


@pytest.mark.parametrize(
    ("app", "interface"),
    [
        (hello, "asgi3"),
        (Callable3(), "asgi3"),
        (Asgi2, "asgi2"),
        (lambda environ, start_response: [], "wsgi"),
        (lambda environ, start_response, extra=None: [], "wsgi"),
    ],
    ids=["function", "object", "class", "WSGI", "WSGI with a default"],
)
def test_the_interface_is_recognised(app: Any, interface: str) -> None:
    assert application.interface_of(app) == interface


@pytest.mark.parametrize("app", [lambda a, b, c, d: None, print, dict], ids=["four", "any", "unknown"])
def test_what_is_no_application_is_reported(app: Any) -> None:
    with pytest.raises(ApplicationError, match="set interface to asgi3, asgi2 or wsgi"):
        application.interface_of(app)


@pytest.mark.parametrize("app", [Asgi2, Callable3()])
def test_an_application_of_any_interface_answers(plugin_bench: Bench, app: Any) -> None:
    assert requested(served(plugin_bench, app, lifespan="off"), get())[0].body == b"hello /"


# Lifespan.


class WithLifespan:
    """An application with a lifespan, which notes its messages."""

    def __init__(self, *, startup: Any = None, shutdown: Any = None) -> None:
        self.messages: list[str] = []
        self._on = {"lifespan.startup": startup, "lifespan.shutdown": shutdown}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            scope["state"]["own"] = True
            await start(send, 200)
            await body(send, repr(sorted(scope["state"])).encode())
            return
        scope["state"]["database"] = "open"
        self.worker = scope["extensions"]["reactorhost"]["worker"]
        while True:
            message = (await receive())["type"]
            self.messages.append(message)
            on = self._on[message]
            if on is not None:
                await on(send)
            await send({"type": f"{message}.complete"})
            if message == "lifespan.shutdown":
                return


def test_an_application_is_started_and_stopped(plugin_bench: Bench) -> None:
    app = WithLifespan()
    bench = served(plugin_bench, app)
    assert app.messages == ["lifespan.startup"]
    assert isinstance(app.worker, Worker)
    for _ in range(2):
        # Each request has a copy of its own.
        assert requested(bench, get())[0].body == b"['database', 'own']"
    bench.stop()
    assert app.messages == ["lifespan.startup", "lifespan.shutdown"]


async def refuses(send: Any) -> None:
    """Refuse as the specification has it."""
    await send({"type": "lifespan.startup.failed", "message": "Traceback\n  line\nOSError: no database"})
    raise OSError("no database")


async def raises(send: Any) -> None:
    """Raise."""
    raise OSError("no database")


async def exits(send: Any) -> None:
    """End the process, it believes."""
    sys.exit("no database")


async def sends_nonsense(send: Any) -> None:
    """Send what no one expects."""
    await send({"type": "lifespan.startup.perhaps"})


@pytest.mark.parametrize(
    ("startup", "lifespan", "error"),
    [
        (refuses, "auto", "the application has failed in its startup: OSError: no database"),
        (refuses, "on", "the application has failed in its startup: OSError: no database"),
        (exits, "auto", r"the application has called sys.exit\('no database'\)"),
        (raises, "on", "the application has failed in its startup: OSError: no database"),
        (sends_nonsense, "on", "failed in its startup: RuntimeError: the application sends 'lifespan.startup.perhaps'"),
    ],
)
def test_a_startup_that_fails_fails_the_boot(plugin_bench: Bench, startup: Any, lifespan: str, error: str) -> None:
    with pytest.raises(LifespanError, match=error) as failed:
        served(plugin_bench, WithLifespan(startup=startup), lifespan=lifespan)
    # What is behind it is in the traceback.
    assert failed.value.__cause__ is not None


def test_an_application_without_lifespan_is_served_unless_it_is_required(plugin_bench: Bench) -> None:
    assert requested(served(plugin_bench, hello), get())[0].status == 200
    with pytest.raises(LifespanError, match="failed in its startup: AssertionError"):
        served(plugin_bench, hello, lifespan="on")


async def returns(scope: Any, receive: Any, send: Any) -> None:
    """Return for what is no request."""
    if scope["type"] == "http":
        await hello(scope, receive, send)


@pytest.mark.parametrize(
    ("app", "why"),
    [(hello, "AssertionError"), (returns, "'it has ended without an answer'")],
    ids=["raises", "returns"],
)
def test_the_log_says_how_an_application_has_no_lifespan(
    plugin_bench: Bench, caplog: pytest.LogCaptureFixture, app: Any, why: str
) -> None:
    with caplog.at_level("INFO"):
        served(plugin_bench, app)
    [line] = [each.getMessage() for each in caplog.records if "lifespan_unsupported" in each.getMessage()]
    assert why in line


def test_no_lifespan_is_asked_for_when_it_is_off(plugin_bench: Bench) -> None:
    app = WithLifespan()
    served(plugin_bench, app, lifespan="off").stop()
    assert app.messages == []


def test_a_shutdown_that_fails_is_an_error_of_the_plugin(plugin_bench: Bench) -> None:
    bench = served(plugin_bench, WithLifespan(shutdown=raises))
    with pytest.raises(LifespanError, match="failed in its shutdown"):
        bench.stop()


# The end of a worker.


def test_an_answer_that_is_being_made_is_the_last_one(plugin_bench: Bench) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(1)
        await hello(scope, receive, send)

    bench = served(plugin_bench, app, lifespan="off")
    client = bench.connect()
    client.send(get())
    bench.drain()
    bench.advance(1)
    (answer,) = answers(client)
    assert answer.headers["connection"] == "close"
    assert client.eof


@pytest.mark.parametrize(("idle", "grace"), [(10, 0.5), (0, 1)])
def test_a_request_that_is_on_its_way_at_the_end_is_answered(plugin_bench: Bench, idle: int, grace: float) -> None:
    bench = served(plugin_bench, hello)
    client, other = bench.connect(), bench.connect()
    for each in (client, other):
        each.send(get())
    bench.advance(idle)
    bench.drain()
    bench.advance(grace - 0.1)
    assert not other.eof
    client.send(get())
    assert answers(client)[1].headers["connection"] == "close"
    assert client.eof
    bench.advance(1.1)
    assert other.eof


def test_a_connection_without_a_request_yet_gets_some_time(plugin_bench: Bench) -> None:
    bench = served(plugin_bench, hello)
    early, never = bench.connect(), bench.connect()
    bench.drain()
    bench.advance(2)
    early.send(get())
    assert answers(early)[0].status == 200
    bench.advance(5)
    assert early.eof
    assert never.eof


def test_an_event_stream_ends_and_another_answer_goes_on(plugin_bench: Bench) -> None:
    ended: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        kind = b"text/event-stream" if scope["path"] == "/events" else b"text/plain"
        await start(send, 200, (b"content-type", kind))
        await body(send, b"one", more=True)
        if scope["path"] == "/events":
            await receive()
            ended.append("events")
            return
        await asyncio.sleep(5)
        await body(send, b"two")

    bench = served(plugin_bench, app, lifespan="off")
    events, download = bench.connect(), bench.connect()
    events.send(get("/events"))
    download.send(get("/file"))
    bench.drain()
    assert ended == ["events"]
    assert events.eof
    assert answers(events)[0].body == b"one"
    assert not download.eof
    bench.advance(5)
    assert answers(download)[0].body == b"onetwo"
    # Its headers did not announce the end.
    bench.advance(3)
    assert download.eof


def test_an_application_is_cancelled_when_the_worker_ends_its_client(plugin_bench: Bench) -> None:
    cancelled: list[bool] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    bench = served(plugin_bench, app, lifespan="off")
    bench.connect().send(get())
    bench.stop()
    assert cancelled == [True]


def test_an_application_sees_that_its_worker_is_about_to_leave(plugin_bench: Bench) -> None:
    seen: list[bool] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        connection = scope["extensions"]["reactorhost"]["connection"]
        seen.append(connection.draining)
        await asyncio.sleep(1)
        seen.append(connection.draining)
        await hello(scope, receive, send)

    bench = served(plugin_bench, app, lifespan="off")
    bench.connect().send(get())
    bench.drain()
    bench.advance(1)
    assert seen == [False, True]


# Proxies.


@pytest.mark.parametrize(
    ("peer", "proxies", "expected"),
    [
        ("192.0.2.1", [], ("192.0.2.1", "http")),
        ("192.0.2.1", ["192.0.2.2"], ("192.0.2.1", "http")),
        ("192.0.2.1", ["192.0.2.1"], ("203.0.113.9", "https")),
        ("192.0.2.1", ["192.0.2.0/24"], ("203.0.113.9", "https")),
        ("192.0.2.1", ["unix"], ("192.0.2.1", "http")),
        ("192.0.2.1", ["192.0.2.1", "203.0.113.9"], ("198.51.100.1", "https")),
        ("192.0.2.1", ["*"], ("198.51.100.1", "https")),
    ],
)
def test_forwarded_headers_count_from_listed_proxies_only(
    plugin_bench: Bench, peer: str, proxies: list[str], expected: tuple[str, str]
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await start(send, 200)
        await body(send, f"{scope['client'][0]} {scope['scheme']}".encode())

    bench = served(plugin_bench, app, lifespan="off", forwarded_allow_ips=proxies)
    client = bench.connect((peer, 4711))
    client.send(get("/", "X-Forwarded-For: 198.51.100.1, 203.0.113.9", "X-Forwarded-Proto: https"))
    assert answers(client)[0].body.decode().split() == list(expected)


# Access log and metrics.

ENTRY = Entry("192.0.2.7", 1_795_816_773.5, "GET /a?b HTTP/1.1", 200, 1234, "http://x/", "curl/8", 0.0123)


def test_a_line_is_as_programs_for_access_logs_expect_it() -> None:
    assert common(ENTRY) == '192.0.2.7 - - [27/Nov/2026:21:59:33 +0000] "GET /a?b HTTP/1.1" 200 1234'
    assert combined(ENTRY) == f'{common(ENTRY)} "http://x/" "curl/8"'


def test_a_client_cannot_forge_a_line() -> None:
    entry = Entry('a "b', 0, 'GET /"\n HTTP/1.1', 400, 0, "\xe4\\\x1b", "\n192.0.2.7 - - ", 0)
    assert combined(entry) == (
        "a\\x20\\x22b - - [01/Jan/1970:00:00:00 +0000]"
        ' "GET /\\x22\\x0A HTTP/1.1" 400 - "\\xE4\\x5C\\x1B" "\\x0A192.0.2.7 - - "'
    )


def test_each_answer_has_one_line(plugin_bench: Bench, tmp_path: Path) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/slow":
            await asyncio.sleep(10)
        if scope["path"] == "/broken":
            raise ValueError("broken")
        await hello(scope, receive, send)

    path = tmp_path / "access.log"
    bench = served(plugin_bench, app, lifespan="off", access_log=str(path), access_log_format="json")
    client = bench.connect(("192.0.2.7", 4711))
    client.send(get("/a?x=1", "Referer: http://x/", "User-Agent: test") + get("/b", method="HEAD"))
    requested(bench, get("/broken"))
    requested(bench, b"nonsense\r\n\r\n")
    slow = bench.connect()
    slow.send(get("/slow"))
    slow.reset()
    bench.advance(11)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["request"], line["status"], line["size"]) for line in lines] == [
        ("GET /a?x=1 HTTP/1.1", 200, 8),
        ("HEAD /b HTTP/1.1", 200, 0),
        ("GET /broken HTTP/1.1", 500, 0),
        ("", 400, 0),
        ("GET /slow HTTP/1.1", 499, 0),
    ]
    assert (lines[0]["client"], lines[0]["referer"], lines[0]["agent"]) == ("192.0.2.7", "http://x/", "test")


def test_the_access_log_can_be_the_log_of_the_host(plugin_bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        requested(served(plugin_bench, hello, lifespan="off", access_log="log"), get("/x"))
    assert any('"GET /x HTTP/1.1" 200 8' in each.getMessage() for each in caplog.records)


def test_a_file_that_cannot_be_opened_fails_the_boot(plugin_bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"the access log .*/missing/log cannot be opened: No such file or directory"):
        served(plugin_bench, hello, lifespan="off", access_log=str(tmp_path / "missing" / "log"))


def test_lines_that_cannot_be_written_do_not_affect_clients(
    plugin_bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench = served(plugin_bench, hello, lifespan="off", access_log="/dev/full")
    client = bench.connect()
    client.send(get() * 3)
    assert len(answers(client)) == 3
    assert [each.getMessage().split(" ")[0] for each in caplog.records] == ["access_log_write_failed"]


def test_requests_are_counted_by_status_and_duration(plugin_bench: Bench) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await start(send, int(scope["path"][1:]), (b"content-length", b"0"))
        await body(send)

    bench = served(plugin_bench, app, lifespan="off")
    for status in (200, 201, 301, 404, 503):
        requested(bench, get(f"/{status}"))
    bench.connect()
    stats = bench.stats("Asgi")
    assert [stats[f"answers_{digit}xx"] for digit in range(1, 6)] == [0, 2, 1, 1, 1]
    assert stats["requests"] == 5
    assert stats["open"] == 6
    assert stats["running"] == 0
    assert sum(number for name, number in stats.items() if name.startswith("answered_")) == 5


def test_the_readme_describes_every_option() -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    for option in OPTIONS:
        default = "required" if option.required else f"`{json.dumps(option.default)}`"
        assert f"| `{option.name}` | {default} | {option.help} |" in readme
