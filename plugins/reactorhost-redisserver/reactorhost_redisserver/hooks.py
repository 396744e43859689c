"""The hooks of the Redis server."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

from reactorhost import Connection, Option, SetupError, Worker, hookimpl
from reactorhost_redisserver import pipeline
from reactorhost_redisserver.client import Client
from reactorhost_redisserver.commands.table import TABLE
from reactorhost_redisserver.ownership import Ownership, State
from reactorhost_redisserver.replies import error
from reactorhost_redisserver.server import Server
from reactorhost_redisserver.snapshot import SnapshotError
from reactorhost_redisserver.storage import HandoverError, Storage

_EXPIRE_SECONDS = 0.1
_EXPIRED_AT_ONCE = 1000


class RedisServer:
    """Serve the protocol of Redis from the memory of one worker."""

    server: Server
    ownership: Ownership | None = None
    draining = False
    _expiring = False
    _worker: Worker
    path: Path
    save_every: float

    @hookimpl
    def options(self) -> list[Option]:
        """Declare the keys of `[plugin.redisserver]`."""
        return [
            Option("file", str, default="redisserver.snapshot", help="file of the snapshot, on a local disk"),
            Option(
                "save_every",
                float,
                default=60.0,
                help="seconds between two snapshots if something has changed, 0 for none",
            ),
            Option("password", str, default=None, secret=True, help="what clients log in with; without it all may"),
            Option("max_memory", int, default=0, help="bytes of keys and values that are stored, 0 for no limit"),
            Option("max_request", int, default=64 << 20, help="bytes of the largest command, from 16384"),
        ]

    @hookimpl
    def configure(self, config: Mapping[str, object]) -> None:
        """Make the server.

        Raises:
            ExceptionGroup: of a `SetupError` for each option with an invalid value.
        """
        problems = []
        password = cast("str | None", config["password"])
        if password == "":
            hint = "remove it for a server without a password"
            problems.append(SetupError("it is empty", option="password", hint=hint))
        max_memory = cast("int", config["max_memory"])
        if max_memory < 0:
            problems.append(SetupError(f"{max_memory} is negative", option="max_memory", hint="write 0 for no limit"))
        max_request = cast("int", config["max_request"])
        if max_request < 16384:
            what = f"{max_request} is less than 16384"
            problems.append(SetupError(what, option="max_request", hint="write a number of bytes"))
        self.save_every = cast("float", config["save_every"])
        if self.save_every < 0:
            what = f"{self.save_every:g} is negative"
            problems.append(
                SetupError(what, option="save_every", hint="write 0 for no snapshots while the worker runs")
            )
        if problems:
            raise ExceptionGroup("options", problems)
        self.path = Path(cast("str", config["file"])).absolute()
        self.server = Server(
            TABLE,
            password=None if password is None else password.encode(),
            max_memory=max_memory,
            max_request=max_request,
        )

    @hookimpl
    def service_workers(self) -> int:
        """One worker has the state."""
        return 1

    @hookimpl
    def worker_start(self, worker: Worker) -> None:
        """Load the snapshot, or wait for the worker that has the state.

        Raises:
            SetupError: the snapshot cannot be read, or the worker that has the keys cannot write it.
        """
        # Only the worker of the first slot has clients.
        if worker.slot:
            return
        storage = Storage(worker, self.path, self.server.keyspace)
        self.server.saver = storage
        ownership = Ownership(
            worker, storage, on_owned=self._resume, on_failed=self._refuse, in_use=lambda: bool(self.server.clients)
        )
        try:
            ownership.start()
        except SnapshotError as invalid:
            raise SetupError(
                f"the snapshot {self.path} cannot be read: {invalid}; restore it from a copy, or move it away to begin"
                " without keys"
            ) from None
        except HandoverError as reason:
            raise SetupError(
                f"the worker that has the keys cannot write the snapshot {self.path}, and would lose them: {reason};"
                " make room on the disk, wait for the next snapshot or send SAVE, and reload again"
            ) from None
        except OSError as failed:
            raise SetupError(
                f"the snapshot {failed.filename or self.path} cannot be opened: {failed.strerror}; its folder must"
                " exist, and the user of the workers may read and write there"
            ) from None
        self.ownership = ownership
        self._worker = worker
        worker.call_every(_EXPIRE_SECONDS, self._tick)
        if self.save_every:
            worker.call_every(self.save_every, ownership.save)

    @hookimpl
    def worker_stop(self) -> None:
        """Save what is not saved."""
        if self.ownership is not None:
            self.ownership.stop()

    def _tick(self) -> None:
        if self.ownership is not None:
            self.ownership.check()
        if not self._expiring:
            self._expire()

    def _expire(self) -> None:
        self._expiring = False
        if self._owned:
            self.server.tick()
            if self.server.keyspace.expire(_EXPIRED_AT_ONCE) == _EXPIRED_AT_ONCE:
                # There may be a million more. In between clients have their turn.
                self._expiring = True
                self._worker.call_later(0, self._expire)

    @property
    def _owned(self) -> bool:
        return self.ownership is not None and self.ownership.state is State.OWNED

    @hookimpl
    def connect(self, connection: Connection) -> None:
        """Add a client, whose commands wait until this worker owns the state."""
        connection.state.redis = self.server.connect(connection)
        if not self._owned:
            connection.pause()
            if self.ownership is not None and not self.draining:
                self.ownership.want()

    def _resume(self) -> None:
        for client in list(self.server.clients.values()):
            client.connection.resume()

    def _refuse(self, reason: str) -> None:
        for client in list(self.server.clients.values()):
            client.connection.send(error(f"ERR {reason}, see the log of the host"))
            client.connection.close()

    @hookimpl
    def receive(self, connection: Connection, data: bytes) -> bool:
        """Run commands."""
        pipeline.receive(self.server, connection.state.redis, data)
        return True

    @hookimpl
    def drain(self, connection: Connection) -> None:
        """Disconnect a client, whose commands have been answered; after the last one the next worker may begin."""
        self.draining = True
        self.server.disconnect(cast("Client", connection.state.redis))
        # Commands that are left do not run: the timers of a connection end with this call.
        connection.close()
        if self.ownership is not None and not self.server.clients:
            self.ownership.leave()

    @hookimpl
    def close(self, connection: Connection) -> None:
        """Remove a client."""
        self.server.disconnect(cast("Client", connection.state.redis))

    @hookimpl
    def stats(self) -> dict[str, int]:
        """Return what `status` and `top` show."""
        keyspace = self.server.keyspace
        return {
            "keys": keyspace.count,
            "used_bytes": keyspace.used,
            "commands": self.server.commands_run,
            "expired": keyspace.expired,
        }
