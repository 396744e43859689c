"""A room: the first line of a client is its name, every other one is sent to all. With asyncio.start_server."""

import asyncio

writers = set()


async def room(reader, writer):
    name = (await reader.readline()).decode().strip()
    writer.write(f"hello {name}\n".encode())
    writers.add(writer)
    try:
        while line := await asyncio.wait_for(reader.readline(), 600):
            text = line.decode().strip()
            if text == "/quit":
                writer.write(b"bye\n")
                break
            for each in writers:
                each.write(f"{name}: {text}\n".encode())
            await writer.drain()
    except (ConnectionError, TimeoutError):
        pass
    finally:
        writers.remove(writer)
        writer.close()


async def main():
    server = await asyncio.start_server(room, "127.0.0.1", 9000)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
