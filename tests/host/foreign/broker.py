"""An MQTT broker: amqtt's handler of streams."""

from __future__ import annotations

import asyncio

from amqtt.broker import Broker

from reactorhost import Worker, hookimpl

_CONFIG = {
    "listeners": {"default": {"type": "external", "bind": "none"}},
    "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
}


class Mqtt:
    """Serves MQTT."""

    @hookimpl
    async def worker_start(self, worker: Worker) -> None:
        self._broker = Broker(_CONFIG)
        await self._broker.start()

    @hookimpl
    async def worker_stop(self, worker: Worker) -> None:
        await self._broker.shutdown()

    @hookimpl
    async def stream_handler(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._broker.stream_connected(reader, writer, "default")
