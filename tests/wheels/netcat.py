"""In place of `nc -N HOST PORT` on a machine without OpenBSD's: send the input, then its end, and print the answers."""

from __future__ import annotations

import os
import selectors
import socket
import sys


def main(host: str, port: int) -> None:
    """Talk until the server closes the connection."""
    with socket.create_connection((host, port)) as server, selectors.DefaultSelector() as selector:
        for source in (server, sys.stdin.buffer):
            selector.register(source, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                data = os.read(key.fd, 65536)
                if key.fileobj is server:
                    if not data:
                        return
                    sys.stdout.buffer.write(data)
                    sys.stdout.buffer.flush()
                elif data:
                    server.sendall(data)
                else:
                    selector.unregister(key.fileobj)
                    server.shutdown(socket.SHUT_WR)


if __name__ == "__main__":
    try:
        main(sys.argv[-2], int(sys.argv[-1]))
    except KeyboardInterrupt:
        sys.exit(130)
