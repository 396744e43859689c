"""Answer any HTTP request with both addresses of the connection."""

from reactorhost import hookimpl


@hookimpl
def receive(connection, data):
    body = f"{connection.peer} -> {connection.local}\n".encode()
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body))
    connection.close()
