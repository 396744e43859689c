"""Count down from each number that a client sends, ten steps per second."""

import asyncio

from reactorhost import Lines, hookimpl


@hookimpl
def framing(service):
    return Lines(max_size=4)


@hookimpl
async def receive(connection, data):
    for number in range(int(data), 0, -1):
        connection.send_message(b"%d" % number)
        await asyncio.sleep(0.1)


@hookimpl
async def drain(connection):
    connection.send_message(b"bye")
    connection.close()
