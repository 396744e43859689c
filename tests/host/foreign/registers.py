"""A Modbus server: pymodbus' protocol."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from reactorhost import Worker, hookimpl


class Registers:
    """Serves one device with ten registers."""

    @hookimpl
    async def worker_start(self, worker: Worker) -> None:
        # It never listens; it makes the protocols.
        registers = SimData(0, values=list(range(10)), datatype=DataType.REGISTERS)
        self._server = ModbusTcpServer(SimDevice(1, simdata=[registers]))

    @hookimpl
    def protocol(self, service: str) -> Callable[[], Any]:
        # The server does not exist yet.
        return lambda: self._server.handle_new_connection()  # noqa: PLW0108
