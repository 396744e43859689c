"""Echo, on a unix socket for the processes of this host's own user and of root only."""

import logging
import os

from reactorhost import hookimpl


@hookimpl
def connect(connection):
    peer = connection.peer_credentials
    if peer and peer.uid not in (0, os.geteuid()):
        logging.getLogger(__name__).warning("refused %s", peer)
        connection.abort()


@hookimpl
def receive(connection, data):
    connection.send(data)
