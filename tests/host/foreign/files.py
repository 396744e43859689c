"""An FTP server: aioftp's handler of streams."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import aioftp

from reactorhost import Option, Worker, hookimpl


class Files:
    """Serves the files of a folder."""

    @hookimpl
    def options(self) -> Sequence[Option]:
        return [Option("folder", str, help="what is served")]

    @hookimpl
    def configure(self, config: Mapping[str, str]) -> None:
        self._folder = config["folder"]

    @hookimpl
    async def worker_start(self, worker: Worker) -> None:
        self._server = aioftp.Server([aioftp.User(base_path=self._folder)])
        # As its `start` does, which would also listen. Data connections have listeners of their own, made by aioftp.
        self._server.connections = {}
        self._server.server_host = "127.0.0.1"
        self._server.server_port = 21
        self._server._start_server_extra_arguments = {}

    @hookimpl
    async def stream_handler(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._server.dispatcher(reader, writer)
