"""Answer the first commands of SMTP, and begin TLS on STARTTLS."""

from reactorhost import Lines, hookimpl


@hookimpl
def framing(service):
    return Lines(max_size=512)


@hookimpl
def connect(connection):
    connection.send(b"220 mail.example\r\n")


@hookimpl
def receive(connection, data):
    command = data.partition(b" ")[0].upper()
    if command == b"EHLO":
        offers_tls = connection.can_start_tls
        connection.send(b"250-mail.example\r\n250 STARTTLS\r\n" if offers_tls else b"250 mail.example\r\n")
    elif command == b"STARTTLS" and connection.can_start_tls:
        connection.send(b"220 go ahead\r\n")
        connection.start_tls()
    elif command == b"NOOP":
        version = connection.tls.version if connection.tls else "no TLS"
        connection.send(b"250 " + version.encode() + b"\r\n")
    elif command == b"QUIT":
        connection.send(b"221 bye\r\n")
        connection.close()
    else:
        connection.send(b"502 not implemented\r\n")
