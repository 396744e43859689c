"""What a protocol is passed, until the end of what the peer sends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from peers import Peer
from recorded import BIG, Recorder, same_as_asyncio

Serve = Callable[..., Recorder]


@same_as_asyncio
async def test_an_echo_until_the_peer_ends(serve: Serve, peer: Peer) -> Any:
    served = serve(data=lambda protocol, data: protocol.transport.write(data))
    await peer.send(b"hello")
    assert await peer.read(5) == b"hello"
    peer.end()
    end = await peer.read_all()
    await served.until("lost")
    return end


@same_as_asyncio
async def test_data_and_eof_that_are_there_already(serve: Serve, peer: Peer) -> Any:
    await peer.send(b"x" * 1000)
    peer.end()
    served = serve()
    await served.until("lost")
    return served.received


@same_as_asyncio
async def test_a_peer_that_resets(serve: Serve, peer: Peer) -> None:
    served = serve()
    await served.until("made")
    peer.reset()
    await served.until("lost")


@same_as_asyncio
async def test_data_in_front_of_a_reset(serve: Serve, peer: Peer) -> Any:
    served = serve()
    await peer.send(b"x")
    await served.until("data", 1)
    await peer.send(b"yz")
    await served.until("data", 3)
    peer.reset()
    await served.until("lost")


@same_as_asyncio
async def test_a_large_message(serve: Serve, peer: Peer) -> Any:
    served = serve()
    await peer.send(b"x" * BIG)
    peer.end()
    await served.until("lost")
    return len(served.received)


@same_as_asyncio
async def test_one_byte_at_a_time(serve: Serve, peer: Peer) -> Any:
    served = serve(data=lambda protocol, data: protocol.transport.write(data))
    for number in range(50):
        await peer.send(bytes([number]))
        assert await peer.read(1) == bytes([number])
    peer.end()
    await served.until("lost")


# Half-closed connections.


@same_as_asyncio
async def test_a_truthy_eof_received(serve: Serve, peer: Peer) -> Any:
    served = serve(eof=lambda protocol: True)
    peer.end()
    await served.until("eof")
    await asyncio.sleep(0)
    served.note(served.transport.is_closing())
    served.transport.write(b"late")
    assert await peer.read(4) == b"late"
    served.transport.close()
    end = await peer.read_all()
    await served.until("lost")
    return end


@same_as_asyncio
async def test_an_answer_within_eof_received(serve: Serve, peer: Peer) -> Any:
    served = serve(eof=lambda protocol: protocol.transport.write(b"x" * BIG))
    peer.end()
    end = await peer.read_all()
    await served.until("lost")
    return end


@same_as_asyncio
async def test_write_eof(serve: Serve, peer: Peer) -> Any:
    served = serve(made=lambda protocol: (protocol.transport.write(b"all"), protocol.transport.write_eof()))
    end = await peer.read_all()
    served.note(served.transport.can_write_eof(), served.transport.is_closing())
    with pytest.raises(RuntimeError):
        served.transport.write(b"more")
    served.transport.write_eof()
    await peer.send(b"answer")
    peer.end()
    await served.until("lost")
    return end


@same_as_asyncio
async def test_write_eof_behind_much_data(serve: Serve, peer: Peer) -> Any:
    served = serve(made=lambda protocol: (protocol.transport.write(b"x" * BIG), protocol.transport.write_eof()))
    end = await peer.read_all()
    await peer.send(b"answer")
    peer.end()
    await served.until("lost")
    return end


# Pauses.


@same_as_asyncio
async def test_reading_is_paused_and_resumed(serve: Serve, peer: Peer) -> Any:
    def states(protocol: Recorder) -> None:
        transport = protocol.transport
        transport.pause_reading()
        protocol.note(transport.is_reading())
        transport.pause_reading()

    served = serve(made=states)
    await served.until("made")
    await peer.send(b"x" * 1000)
    peer.end()
    await asyncio.sleep(0.02)
    served.note("now", len(served.received))
    served.transport.resume_reading()
    served.transport.resume_reading()
    served.note(served.transport.is_reading())
    await served.until("lost")
    return served.received


@same_as_asyncio
async def test_reading_is_paused_after_each_message(serve: Serve, peer: Peer) -> Any:
    def pause(protocol: Recorder, data: bytes) -> None:
        protocol.transport.pause_reading()
        asyncio.get_running_loop().call_soon(protocol.transport.resume_reading)

    served = serve(data=pause)
    await peer.send(b"x" * 3_000_000)
    peer.end()
    await served.until("lost")
    return len(served.received)


@same_as_asyncio
async def test_reading_is_paused_and_resumed_at_once(serve: Serve, peer: Peer) -> Any:
    def both(protocol: Recorder, data: bytes) -> None:
        protocol.transport.pause_reading()
        protocol.transport.resume_reading()

    served = serve(data=both)
    await peer.send(b"x" * 1_000_000)
    peer.end()
    await served.until("lost")
    return len(served.received)


@same_as_asyncio
async def test_close_while_reading_is_paused(serve: Serve, peer: Peer) -> Any:
    served = serve(made=lambda protocol: protocol.transport.pause_reading())
    await served.until("made")
    await peer.send(b"never read")
    served.transport.write(b"bye")
    served.transport.close()
    served.note(served.transport.is_reading(), served.transport.is_closing())
    served.transport.resume_reading()
    await served.until("lost")
    assert await peer.read(3) == b"bye"
