"""An SSH server: asyncssh's protocol."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import asyncssh

from reactorhost import Worker, hookimpl


class Account(asyncssh.SSHServer):
    """Admits every user."""

    def begin_auth(self, username: str) -> bool:
        return False


async def run_command(process: asyncssh.SSHServerProcess[bytes]) -> None:
    """Run `echo WORDS`, `fail` or `cat`."""
    name, _, words = (process.command or "").partition(" ")
    if name == "echo":
        process.stdout.write(words.encode())
    elif name == "cat":
        while data := await process.stdin.read(65536):
            process.stdout.write(data)
            await process.stdout.drain()
    process.exit(3 if name == "fail" else 0)


class Shell:
    """Serves SSH."""

    @hookimpl
    async def worker_start(self, worker: Worker) -> None:
        self._options = await asyncssh.SSHServerConnectionOptions.construct(
            None,
            server_factory=Account,
            server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
            process_factory=run_command,
            encoding=None,
        )

    @hookimpl
    def protocol(self, service: str) -> Callable[[], asyncssh.SSHServerConnection]:
        return lambda: asyncssh.SSHServerConnection(asyncio.get_running_loop(), self._options)
