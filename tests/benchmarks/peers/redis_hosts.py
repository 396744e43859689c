"""Two hosts on two addresses of one port, joined by a Redis server of their own: WORKERS of both, PLACE, PLUGIN."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from peer import print_port
from redis_workers import end_with_parent, start_redis

ADDRESSES = ("127.0.0.1", "127.0.0.2")


def main() -> None:
    """Start both, print the port, and wait until killed; the hosts end with this process."""
    workers, place, plugin = sys.argv[1:]
    url = f"redis+unix://{start_redis(place)}"
    port = 0
    for number, address in enumerate(ADDRESSES):
        share = str(max(1, int(workers) // len(ADDRESSES)))
        where = ["--listen", f"tcp://{address}:{port}", "--run-dir", f"{place}/host-{number}-of-two"]
        program = str(Path(sys.executable).parent / "reactorhost")
        command = [program, "start", "--plugin", plugin, "--workers", share, "--log-level", "error"]
        host = subprocess.Popen(
            [*command, *where, "--bus-url", url],
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=end_with_parent,  # noqa: PLW1509  no thread runs
        )
        assert host.stdout
        # The banner, whose last line comes when all workers are ready.
        for line in host.stdout:
            if f"tcp://{address}:" in line:
                port = int(line.partition(f"tcp://{address}:")[2].split()[0])
            if line.startswith("  stop "):
                break
    print_port(port)
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
