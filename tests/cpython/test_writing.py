"""Write buffers, their limits, and kinds of data."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from peers import Peer
from recorded import BIG, Recorder, same_as_asyncio

Serve = Callable[..., Recorder]


@same_as_asyncio
async def test_the_protocol_is_paused_while_much_is_queued(serve: Serve, peer: Peer) -> Any:
    served = serve(made=lambda protocol: protocol.transport.write(b"x" * BIG))
    await served.until("pause")
    assert await peer.read(BIG) == b"x" * BIG
    await served.until("resume")
    served.transport.close()
    await served.until("lost")


@same_as_asyncio
async def test_both_sides_write_before_they_read(serve: Serve, peer: Peer) -> Any:
    served = serve(made=lambda protocol: protocol.transport.write(b"x" * BIG))
    await asyncio.gather(peer.send(b"y" * BIG), served.until("data", BIG))
    received = await peer.read(BIG)
    served.transport.close()
    await served.until("lost")
    return len(received), len(served.received)


@same_as_asyncio
async def test_a_buffer_limit_of_zero(serve: Serve, peer: Peer) -> Any:
    def fill(protocol: Recorder) -> None:
        transport = protocol.transport
        transport.set_write_buffer_limits(0)
        protocol.note(transport.get_write_buffer_limits(), transport.get_write_buffer_size())
        while not transport.get_write_buffer_size():
            transport.write(b"x" * 1_000_000)

    served = serve(made=fill)
    await served.until("pause")
    while served.transport.get_write_buffer_size():
        await peer.read(100_000)
    await served.until("resume")
    served.transport.abort()
    await served.until("lost")


@same_as_asyncio
async def test_buffer_limits(serve: Serve, peer: Peer) -> Any:
    served = serve()
    await served.until("made")
    transport = served.transport
    found = [transport.get_write_buffer_limits()]
    for limits in ({"high": 1000}, {"low": 1000}, {"high": 10, "low": 5}, {}):
        transport.set_write_buffer_limits(**limits)
        found.append(transport.get_write_buffer_limits())
    with pytest.raises(ValueError, match="must be >="):
        transport.set_write_buffer_limits(high=1, low=2)
    transport.close()
    await served.until("lost")
    return found


@same_as_asyncio
async def test_kinds_of_data(serve: Serve, peer: Peer) -> Any:
    def write(protocol: Recorder) -> None:
        transport = protocol.transport
        changing = bytearray(b"array ")
        transport.write(changing)
        changing[:] = b"xxxxxx"
        transport.write(b"")
        transport.write(memoryview(b"a view "))
        transport.writelines([b"lines", b"", bytearray(b" and "), memoryview(b"more")])
        transport.writelines([])
        for wrong in ("text", 1, None, [b"x"]):
            with pytest.raises(TypeError):
                transport.write(wrong)  # type: ignore[arg-type]
        transport.close()

    serve(made=write)
    return await peer.read(100)


@same_as_asyncio
async def test_bytearrays_that_change_while_they_wait(serve: Serve, peer: Peer) -> Any:
    def write(protocol: Recorder) -> None:
        protocol.transport.write(b"x" * BIG)
        changing = bytearray(b"y" * 10)
        protocol.transport.write(changing)
        if not isinstance(protocol.transport, asyncio.selector_events._SelectorTransport):  # type: ignore[attr-defined]
            # From 3.12 on, asyncio's transport keeps a reference.
            changing[:] = b"z" * 10
        protocol.transport.close()

    serve(made=write)
    return (await peer.read(BIG + 20))[-10:]
