"""Have one conversation with the service, as a client has it. Exit status 1 refuses the release."""

import socket
import sys

ADDRESS = ("127.0.0.1", 9000)


def main():
    with socket.create_connection(ADDRESS, timeout=5) as client:
        client.sendall(b"verify\n")
        client.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: client.recv(4096), b""))
    if answer != b"verify\n":
        sys.exit(f"{ADDRESS} answered {answer!r}")


if __name__ == "__main__":
    main()
