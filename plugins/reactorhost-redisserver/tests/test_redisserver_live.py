"""The server in a real host: its state over reloads, crashes and stops, and the programs of Redis."""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import hiredis
import pytest
import redis

from conversations import packed
from reactorhost.testing import DEADLINE_SECONDS, HostFailedError, LiveHost
from reactorhost_redisserver.snapshot import MAGIC
from redis_server import require_server
from waiting import until

Hosts = Callable[..., LiveHost]


@pytest.fixture
def start(live_host: Hosts, tmp_path: Path) -> Callable[..., LiveHost]:
    """Return a function that starts a host with the same snapshot each time."""

    def start(*arguments: str, **options: object) -> LiveHost:
        options = {"file": tmp_path / "snapshot", "save_every": 0, **options}
        sets = [word for name, value in options.items() for word in ("--set", f"redisserver.{name}={value}")]
        return live_host("--plugin", "redisserver", *sets, *arguments)

    return start


def client_of(host: LiveHost) -> redis.Redis:
    return redis.Redis("127.0.0.1", host.address()[1], socket_timeout=DEADLINE_SECONDS)


def reload(host: LiveHost) -> None:
    answer = host.command("reload")
    assert answer.returncode == 0, answer.stderr


class Counting(threading.Thread):
    """A client that increments a key of its own, and connects again whenever it is disconnected."""

    def __init__(self, host: LiveHost, key: bytes) -> None:
        super().__init__(daemon=True)
        self.key = key
        self.acknowledged = 0
        self.unanswered = 0
        self.lost: list[tuple[int, int]] = []
        self._host = host
        self._ending = threading.Event()

    def run(self) -> None:
        while not self._ending.is_set():
            with self._host.connect() as client:
                reader = hiredis.Reader()
                while not self._ending.is_set():
                    try:
                        client.sendall(packed([b"INCR", self.key]))
                        data = client.recv(100)
                    except ConnectionError:
                        data = b""
                    if not data:
                        self.unanswered += 1
                        break
                    reader.feed(data)
                    value = reader.gets()
                    # What was not answered may have been done or not.
                    if not self.acknowledged < value <= self.acknowledged + 1 + self.unanswered:
                        self.lost.append((self.acknowledged, value))
                    self.acknowledged = value

    def wait_for_answers(self) -> None:
        before = self.acknowledged
        until(lambda: self.acknowledged > before, "an answer")

    def end(self) -> None:
        self._ending.set()
        self.join(DEADLINE_SECONDS)
        assert not self.is_alive()


def test_no_acknowledged_write_is_lost_by_a_reload(start: Callable[..., LiveHost]) -> None:
    host = start("--workers", "2")
    counting = [Counting(host, b"key%d" % number) for number in range(3)]
    for each in counting:
        each.start()
    for _ in range(3):
        reload(host)
        for each in counting:
            each.wait_for_answers()
    for each in counting:
        each.end()
    assert [each.lost for each in counting] == [[], [], []]
    with client_of(host) as client:
        values = [int(client.get(each.key)) for each in counting]
    assert values == [each.acknowledged for each in counting]


def test_an_old_worker_that_serves_others_lets_the_new_one_have_the_state(live_host: Hosts, tmp_path: Path) -> None:
    config = tmp_path / "host.toml"
    config.write_text(
        '[service.redis]\nlisten = "tcp://127.0.0.1:0"\nplugins = "redisserver"\n'
        '[service.echo]\nlisten = "tcp://127.0.0.1:0"\nplugins = "echo"\nworkers = 1\n'
        f'[plugin.redisserver]\nfile = "{tmp_path / "snapshot"}"\nsave_every = 0\n'
    )
    host = live_host("--config", str(config), "--workers", "1")
    with redis.Redis("127.0.0.1", host.address("redis")[1], socket_timeout=DEADLINE_SECONDS) as client:
        client.set("a", "1")
    with host.connect("echo") as other:
        reload(host)
        with redis.Redis("127.0.0.1", host.address("redis")[1], socket_timeout=DEADLINE_SECONDS) as client:
            assert client.get("a") == b"1"
        other.sendall(b"still here")
        assert other.recv(100) == b"still here"


def test_a_disk_that_fills_up_during_a_reload_loses_nothing(start: Callable[..., LiveHost], tmp_path: Path) -> None:
    host = start("--workers", "1")
    with client_of(host) as client:
        client.set("a", "1")
    (tmp_path / "snapshot.new").mkdir()
    reload(host)
    reason = f"Is a directory, so the snapshot {tmp_path / 'snapshot'} is not written"
    held = {"plugin": "redisserver", "reason": reason}
    host.until(lambda status: [held] in [worker["holds"] for worker in status["workers"]], "a worker that is held")
    (tmp_path / "snapshot.new").rmdir()
    with client_of(host) as client:
        assert client.get("a") == b"1"
    host.until(lambda status: len(status["workers"]) == 1, "the end of the old worker")


def fill_the_disk(host: LiveHost, *, room: int) -> int:
    """Let the worker write no more than `room` bytes to a file, as on a full disk; returns its process id."""
    (worker,) = host.workers()
    pid: int = worker["pid"]
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
    return pid


def stopping(host: LiveHost, *arguments: str) -> subprocess.Popen[str]:
    """Start `reactorhost stop`."""
    command = [sys.executable, "-m", "reactorhost", "stop", "--run-dir", str(host.run_dir), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


FULL = "File too large, so the snapshot {} is not written"


def test_a_stop_on_a_full_disk_says_what_it_waits_for_until_there_is_room(
    start: Callable[..., LiveHost], tmp_path: Path
) -> None:
    host = start("--workers", "1", "--stop-timeout", "600")
    with client_of(host) as client:
        client.set("a", b"1" * 200_000)
    pid = fill_the_disk(host, room=100_000)
    with stopping(host) as stop:
        assert stop.stderr is not None
        line = next(line for line in stop.stderr if "held by" in line)
        held = FULL.format(tmp_path / "snapshot")
        assert re.fullmatch(rf"stopping: at most \d+ s left, held by redisserver: {re.escape(held)}\n", line)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        stop.communicate(timeout=DEADLINE_SECONDS)
    assert (stop.returncode, host.wait()) == (0, 0)
    with client_of(start("--workers", "1")) as client:
        assert client.strlen("a") == 200_000


@pytest.mark.parametrize("now", [False, True], ids=["at the deadline", "now"])
def test_a_stop_that_loses_keys_says_how_many_and_fails(
    start: Callable[..., LiveHost], tmp_path: Path, now: bool
) -> None:
    host = start("--workers", "1", "--stop-timeout", "2")
    with client_of(host) as client:
        client.set("saved", "1")
        client.save()
        client.mset({"saved": "2", "a": b"1" * 200_000})
    fill_the_disk(host, room=100_000)
    ended = host.command("stop", *(["--now"] if now else []))
    assert (ended.returncode, host.wait()) == (8, 8)
    reason = "the keys are not saved" if now else FULL.format(tmp_path / "snapshot")
    failure = f"reactorhost: the host has stopped before redisserver was done: {reason}\n"
    assert failure in ended.stderr
    assert failure in host.log()
    (loss,) = re.findall(r" error (lost .*) worker=", host.log())
    assert re.fullmatch(
        r"lost 2 changes since 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC, in a state of 2 keys: the snapshot \S+ is not"
        r" written: File too large; make room on the disk before the next start",
        loss,
    )
    with client_of(start("--workers", "1")) as client:
        assert (client.get("saved"), client.dbsize()) == (b"1", 1)


def test_a_stop_without_waiting_saves_all_the_same(start: Callable[..., LiveHost]) -> None:
    host = start("--workers", "1")
    with client_of(host) as client:
        client.set("a", "1")
        assert host.command("stop", "--now").returncode == 0
    assert host.wait() == 0
    with client_of(start("--workers", "1")) as client:
        assert client.get("a") == b"1"


def test_all_keys_are_lost_if_there_is_no_snapshot(start: Callable[..., LiveHost], tmp_path: Path) -> None:
    host = start("--workers", "1", "--stop-timeout", "1")
    with client_of(host) as client:
        client.set("a", "1")
    (tmp_path / "snapshot.new").mkdir()
    assert host.stop() == 8
    assert " error lost all of 1 key: the snapshot " in host.log()


def test_what_was_saved_survives_a_kill_and_a_stop(start: Callable[..., LiveHost]) -> None:
    host = start("--workers", "1")
    with client_of(host) as client:
        client.set("saved", "1")
        client.hset("hash", mapping={"a": "1", "b": "2"})
        client.rpush("list", "1", "2")
        client.expire("hash", 1000)
        client.save()
        client.set("not saved", "1")
        os.kill(client.info()["process_id"], signal.SIGKILL)
    with client_of(host) as client:
        until(lambda: answers(client), "an answer")
        assert sorted(client.keys()) == [b"hash", b"list", b"saved"]
        assert client.hgetall("hash") == {b"a": b"1", b"b": b"2"}
        assert 0 < client.ttl("hash") <= 1000
        client.set("after", "1")
    host.stop()
    with client_of(start("--workers", "1")) as client:
        assert sorted(client.keys()) == [b"after", b"hash", b"list", b"saved"]


def answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


def test_a_damaged_snapshot_fails_the_start(start: Callable[..., LiveHost], tmp_path: Path) -> None:
    (tmp_path / "snapshot").write_bytes(MAGIC + bytes(100))
    with pytest.raises(HostFailedError, match="its checksum is wrong; restore it from a copy") as failed:
        start()
    assert failed.value.status == 3


def test_the_programs_of_redis(start: Callable[..., LiveHost]) -> None:
    require_server()
    host = start("--workers", "1", password="sesame")
    port = str(host.address()[1])

    def run(*command: str) -> str:
        program = shutil.which(command[0])
        assert program is not None
        environment = {**os.environ, "REDISCLI_AUTH": "sesame"}
        return subprocess.run(
            [program, *command[1:]],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=DEADLINE_SECONDS,
        ).stdout

    assert run("redis-cli", "-p", port, "set", "a", "1 2") == "OK\n"
    assert run("redis-cli", "-3", "-p", port, "get", "a") == "1 2\n"
    assert run("redis-cli", "-p", port, "--scan") == "a\n"
    tests = "ping_inline,ping_mbulk,set,get,incr,lpush,rpush,lpop,rpop,sadd,hset,spop,mset"
    output = run("redis-benchmark", "-p", port, "-a", "sesame", "-P", "16", "-n", "2000", "-q", "-t", tests)
    assert output.count("requests per second") == len(tests.split(","))
    assert "rror" not in output


def test_redis_py(start: Callable[..., LiveHost]) -> None:
    host = start("--workers", "1")
    for protocol in (2, 3):
        options = {"socket_timeout": DEADLINE_SECONDS, "protocol": protocol, "decode_responses": True}
        with redis.Redis("127.0.0.1", host.address()[1], **options) as client:
            check_redis_py(client)


def check_redis_py(client: redis.Redis) -> None:
    client.flushall()
    assert client.set("text", "hello", ex=100)
    assert (client.get("text"), client.ttl("text")) == ("hello", 100)
    client.hset("user", mapping={"name": "ann", "age": "7"})
    assert client.hgetall("user") == {"name": "ann", "age": "7"}
    client.mset({f"key{number}": number for number in range(100)})
    assert len(list(client.scan_iter(match="key*", count=7))) == 100
    with client.pipeline(transaction=True) as pipe:
        pipe.watch("text")
        pipe.multi()
        pipe.incr("count").get("text")
        assert pipe.execute() == [1, "hello"]
        pipe.watch("text")
        client.set("text", "changed")
        pipe.multi()
        pipe.get("text")
        with pytest.raises(redis.WatchError):
            pipe.execute()
    client.rpush("jobs", "one", "two")
    assert (list(client.blpop(["none", "jobs"], timeout=1)), client.lrange("jobs", 0, -1)) == (["jobs", "one"], ["two"])
    client.sadd("tags", "red", "blue")
    assert set(client.smembers("tags")) == {"red", "blue"} == set(client.sscan_iter("tags"))
    with client.pubsub() as pubsub:
        pubsub.subscribe("news")
        pubsub.psubscribe("ne*")
        assert [pubsub.get_message(timeout=DEADLINE_SECONDS)["type"] for _ in range(2)] == ["subscribe", "psubscribe"]
        assert client.publish("news", "today") == 2
        messages = [pubsub.get_message(timeout=DEADLINE_SECONDS) for _ in range(2)]
        assert [(each["type"], each["data"]) for each in messages] == [("message", "today"), ("pmessage", "today")]
    assert client.info()["redis_version"] == "7.0.15"
    assert client.config_get("max*")["maxmemory"] == "0"
    assert client.command_count() > 80
    assert client.client_list()[0]["db"] == "0"
