"""What is sent before the introductions, as far as `test_peers` does not show it."""

from __future__ import annotations

from reactorhost.bus import frames
from reactorhost.bus.frame_decoder import FrameDecoder
from reactorhost.bus.frames import MOST_GAP_KEYS, Gap, Hello
from reactorhost.bus.replica import Journal, Replicated
from reactorhost.worker.bus.peers.early import EarlyMessages
from reactorhost.worker.bus.peers.outgoing import Outgoing


class NoHistory:
    def since(self, key: str, number: int) -> None: ...


def test_the_keys_of_what_is_dropped_are_bounded() -> None:
    early = EarlyMessages(100)
    assert early.message("t:first", 0, frames.message("t:first", 0, bytes(200)))
    for each in range(MOST_GAP_KEYS * 3):
        assert not early.message(f"t:{each}", 0, b"x")
    assert len(early._lost) == MOST_GAP_KEYS + 1
    journals = {table: Journal() for table in Replicated}
    outgoing = Outgoing(frames.hello(Hello(bytes(8), bytes(8), 0, 1)), 1000, journals, NoHistory())
    early.queue_messages(outgoing)
    assert Gap(None, recovered=False) in list(FrameDecoder().feed(bytes(outgoing.gather())))
