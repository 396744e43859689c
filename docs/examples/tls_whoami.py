"""Answer any HTTP request with the parameters of the client's TLS session."""

from reactorhost import hookimpl


@hookimpl
def receive(connection, data):
    tls = connection.tls
    if tls is None:
        text = "plain\n"
    else:
        text = f"{tls.version} {tls.cipher} alpn={tls.alpn} name={tls.server_name} {subject(tls.certificate)}\n"
    body = text.encode()
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body))
    connection.close()


def subject(certificate):
    """Return the names in a client's certificate."""
    if certificate is None:
        return "no certificate"
    return " ".join(value for kind, value in certificate.get("subjectAltName", ()))
