"""An SMTP server: aiosmtpd's protocol, which starts TLS by itself, with asyncio's own `SSLProtocol`."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

from reactorhost import Option, hookimpl


class Mailbox:
    """Writes each message to a file of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        secure = "plain" if session.ssl is None else "tls"
        sender = str(envelope.mail_from).partition("@")[0]
        (self._folder / f"{sender}.{secure}").write_bytes(envelope.content)
        return "250 delivered"


class Mail:
    """Serves SMTP."""

    @hookimpl
    def options(self) -> Sequence[Option]:
        return [
            Option("folder", str, help="where messages are written"),
            Option("certificate", str, help="PEM file"),
            Option("key", str, help="PEM file"),
        ]

    @hookimpl
    def configure(self, config: Mapping[str, str]) -> None:
        self._mailbox = Mailbox(Path(config["folder"]))
        self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._tls.load_cert_chain(config["certificate"], config["key"])

    @hookimpl
    def protocol(self, service: str) -> Callable[[], SMTP]:
        return lambda: SMTP(self._mailbox, tls_context=self._tls, hostname="localhost")
