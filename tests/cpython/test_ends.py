"""The end of a connection, by either side or by an exception."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from peers import Peer
from recorded import BIG, Recorder, same_as_asyncio

Serve = Callable[..., Recorder]


@same_as_asyncio
async def test_close_within_connection_made(serve: Serve, peer: Peer) -> Any:
    await peer.send(b"never read")
    served = serve(made=lambda protocol: (protocol.transport.write(b"bye"), protocol.transport.close()))
    await served.until("lost")
    return await peer.read(3)


@same_as_asyncio
async def test_abort_within_connection_made(serve: Serve, peer: Peer) -> Any:
    served = serve(made=lambda protocol: protocol.transport.abort())
    await served.until("lost")
    return await peer.read_all()


@same_as_asyncio
async def test_close_within_data_received(serve: Serve, peer: Peer) -> Any:
    await peer.send(b"x" * 100)
    served = serve(data=lambda protocol, data: protocol.transport.close())
    await served.until("lost")
    return len([call for call in served.calls if call[0] == "data"])


@same_as_asyncio
async def test_abort_within_data_received(serve: Serve, peer: Peer) -> Any:
    await peer.send(b"x" * 100)
    served = serve(data=lambda protocol, data: protocol.transport.abort())
    await served.until("lost")
    return len([call for call in served.calls if call[0] == "data"])


@same_as_asyncio
async def test_close_behind_much_data(serve: Serve, peer: Peer) -> Any:
    def close(protocol: Recorder) -> None:
        protocol.transport.write(b"x" * BIG)
        protocol.transport.close()
        protocol.note(protocol.transport.is_closing(), protocol.transport.get_write_buffer_size() > 0)
        protocol.transport.close()
        protocol.transport.write_eof()

    served = serve(made=close)
    end = await peer.read_all()
    await served.until("lost")
    return end


@same_as_asyncio
async def test_abort_behind_much_data(serve: Serve, peer: Peer) -> Any:
    def close(protocol: Recorder) -> None:
        protocol.transport.write(b"x" * BIG)
        protocol.transport.close()
        protocol.transport.abort()
        protocol.note(protocol.transport.is_closing(), protocol.transport.get_write_buffer_size())
        protocol.transport.abort()

    served = serve(made=close)
    await served.until("lost")
    size, _ = await peer.read_all()
    return 0 < size < BIG


@same_as_asyncio
async def test_what_the_kernel_has_arrives_in_spite_of_abort(serve: Serve, peer: Peer) -> Any:
    served = serve(made=lambda protocol: (protocol.transport.write(b"bye"), protocol.transport.abort()))
    await served.until("lost")
    return await peer.read_all()


@same_as_asyncio
async def test_calls_after_the_end(serve: Serve, peer: Peer) -> Any:
    served = serve(made=lambda protocol: protocol.transport.close())
    await served.until("lost")
    transport = served.transport
    transport.write(b"nothing")
    transport.pause_reading()
    transport.resume_reading()
    transport.write_eof()
    transport.close()
    transport.abort()
    served.note(transport.is_closing(), transport.is_reading(), transport.get_write_buffer_size())
    await asyncio.sleep(0.01)


@same_as_asyncio
async def test_calls_within_connection_lost(serve: Serve, peer: Peer) -> Any:
    def lost(protocol: Recorder, error: Exception | None) -> None:
        protocol.transport.write(b"nothing")
        protocol.transport.close()
        protocol.transport.abort()

    served = serve(lost=lost)
    peer.end()
    await served.until("lost")
    await asyncio.sleep(0.01)


@same_as_asyncio
async def test_a_peer_that_resets_while_much_is_queued(serve: Serve, peer: Peer) -> Any:
    served = serve(made=lambda protocol: protocol.transport.write(b"x" * BIG))
    await served.until("pause")
    peer.reset()
    await served.until("lost")
    served.transport.write(b"x")


@same_as_asyncio
async def test_a_peer_that_resets_while_a_close_flushes(serve: Serve, peer: Peer) -> Any:
    served = serve(made=lambda protocol: (protocol.transport.write(b"x" * BIG), protocol.transport.close()))
    await served.until("made")
    peer.reset()
    await served.until("lost")


# Exceptions.


def failing(*_: Any) -> None:
    raise LookupError("planned")


@same_as_asyncio
async def test_an_exception_in_data_received(serve: Serve, peer: Peer) -> Any:
    served = serve(data=failing)
    await peer.send(b"x")
    await served.until("lost")


@same_as_asyncio
async def test_an_exception_in_eof_received(serve: Serve, peer: Peer) -> Any:
    served = serve(eof=failing)
    peer.end()
    await served.until("lost")


@same_as_asyncio
async def test_an_exception_in_connection_lost(serve: Serve, peer: Peer) -> Any:
    served = serve(lost=failing)
    peer.end()
    await served.until("lost")
    await asyncio.sleep(0.01)
    return await peer.read_all()


@same_as_asyncio
async def test_writes_after_close_while_much_is_queued(serve: Serve, peer: Peer) -> Any:
    def close(protocol: Recorder) -> None:
        protocol.transport.write(b"x" * BIG)
        protocol.transport.close()
        protocol.transport.write(b"late")

    served = serve(made=close, resume=lambda protocol: protocol.transport.write(b"later"))
    end = await peer.read_all()
    await served.until("lost")
    return end


@same_as_asyncio
async def test_facts_after_the_end(serve: Serve, peer: Peer) -> Any:
    facts = {"peername": peer.socket.getsockname(), "sockname": peer.socket.getpeername()}
    served = serve()
    peer.end()
    await served.until("lost")
    await asyncio.sleep(0.01)
    transport = served.transport
    assert {name: transport.get_extra_info(name) for name in facts} == facts
    return transport.get_protocol(), transport.get_extra_info("unknown", 5)
