"""Count up, a number per second; a client sets the next number with a line."""

import asyncio

from reactorhost import Lines, hookimpl


@hookimpl
def framing(service):
    return Lines(max_size=9)


@hookimpl
def connect(connection):
    connection.state.next = 0
    connection.create_task(count(connection))


@hookimpl
async def receive(connection, data):
    connection.state.next = int(data)


async def count(connection):
    while True:
        await asyncio.sleep(1)
        connection.send_message(b"%d" % connection.state.next)
        connection.state.next += 1
