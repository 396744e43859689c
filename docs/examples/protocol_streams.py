"""Add up the numbers that a client sends, one on a line."""

from reactorhost import hookimpl


@hookimpl
async def stream_handler(reader, writer):
    total = 0
    while line := await reader.readline():
        try:
            total += int(line)
        except ValueError:
            writer.write(b"not a number\n")
        else:
            writer.write(b"%d\n" % total)
        await writer.drain()
    writer.write(b"total %d\n" % total)
