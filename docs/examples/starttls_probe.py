"""Connect to an SMTP server, begin TLS, and log what its certificate is for."""

import logging

from reactorhost import Lines, Option, TlsFailedError, hookimpl

log = logging.getLogger(__name__)


class Session:
    """The connection to the server."""

    server = ""
    requested = False

    def framing(self):
        return Lines()

    async def receive(self, connection, data):
        if data.startswith(b"250 ") and not self.requested:
            self.requested = True
            connection.send(b"STARTTLS\r\n")
        elif data.startswith(b"220") and self.requested:
            try:
                facts = await connection.start_tls()
            except TlsFailedError as error:
                log.warning("%s", error)
            else:
                names = ", ".join(value for kind, value in facts.certificate["subjectAltName"])
                log.info("%s with %s", facts.version, names)
                connection.send(b"QUIT\r\n")
        elif data.startswith(b"220"):
            connection.send(b"EHLO probe.example\r\n")


@hookimpl
def options():
    return [Option("server", default="tcp://127.0.0.1:25", help="address of the server")]


@hookimpl
def configure(config):
    Session.server = config["server"]


@hookimpl
async def worker_start(worker):
    worker.connect(Session.server, Session())
