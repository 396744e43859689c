"""Buffered protocols, and a transport that gets another protocol."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from peers import Peer
from recorded import Buffered, Recorder, same_as_asyncio

Serve = Callable[..., Recorder]


@same_as_asyncio
async def test_a_buffered_protocol(serve: Serve, peer: Peer) -> Any:
    served = serve(wrap=lambda recorder: Buffered(recorder, 1000))
    await peer.send(b"x" * 100_000)
    await served.until("data", 100_000)
    served.transport.write(b"answer")
    peer.end()
    end = await peer.read_all()
    await served.until("lost")
    return end, max(len(call[1]) for call in served.calls if call[0] == "data")


@same_as_asyncio
async def test_buffers_of_one_byte(serve: Serve, peer: Peer) -> Any:
    served = serve(wrap=lambda recorder: Buffered(recorder, 1))
    await peer.send(b"x" * 1000)
    peer.end()
    await served.until("lost")
    return len(served.received), len(served.calls)


@same_as_asyncio
async def test_an_empty_buffer(serve: Serve, peer: Peer) -> Any:
    served = serve(wrap=lambda recorder: Buffered(recorder, 0))
    await peer.send(b"x")
    await served.until("lost")


@same_as_asyncio
async def test_a_buffered_protocol_that_pauses(serve: Serve, peer: Peer) -> Any:
    def pause(protocol: Recorder, data: bytes) -> None:
        protocol.transport.pause_reading()
        asyncio.get_running_loop().call_soon(protocol.transport.resume_reading)

    served = serve(wrap=lambda recorder: Buffered(recorder, 100), data=pause)
    await peer.send(b"x" * 5000)
    peer.end()
    await served.until("lost")
    return len(served.received)


@same_as_asyncio
async def test_a_buffered_protocol_that_closes(serve: Serve, peer: Peer) -> Any:
    served = serve(wrap=lambda recorder: Buffered(recorder, 10), data=lambda protocol, data: protocol.transport.close())
    await peer.send(b"x" * 5000)
    await served.until("lost")
    return len(served.received)


@same_as_asyncio
async def test_another_protocol_from_data_received_on(serve: Serve, peer: Peer) -> Any:
    second = Recorder()

    def change(protocol: Recorder, data: bytes) -> None:
        protocol.transport.set_protocol(second)
        protocol.note(protocol.transport.get_protocol() is second)
        protocol.transport.write(b"changed")

    served = serve(data=change)
    await peer.send(b"first")
    await peer.read(7)
    await peer.send(b"second")
    peer.end()
    await second.until("lost")
    return served.received, second.calls


@same_as_asyncio
async def test_a_buffered_protocol_from_data_received_on(serve: Serve, peer: Peer) -> Any:
    second = Recorder()

    def change(protocol: Recorder, data: bytes) -> None:
        protocol.transport.set_protocol(Buffered(second, 3))
        protocol.transport.write(b"changed")

    served = serve(data=change)
    await peer.send(b"first")
    await peer.read(7)
    await peer.send(b"second")
    peer.end()
    await second.until("lost")
    return served.received, second.calls
