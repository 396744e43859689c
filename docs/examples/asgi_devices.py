"""`POST /NAME` sends a line to the device of that name, in whichever worker it is, and returns its answer."""

import asyncio
import itertools
import os

from reactorhost import Lines, hookimpl

waiting = {}
numbers = itertools.count(1)


class Devices:
    """A device sends its name. Then it gets lines `KEY TEXT`, and answers each with `KEY ANSWER`."""

    @hookimpl
    def framing(self):
        return Lines(max_size=1024)

    @hookimpl
    def worker_start(self, worker):
        self.worker = worker

    @hookimpl
    def receive(self, connection, data):
        if connection.groups:
            self.worker.publish("devices:answers", data)
        else:
            connection.join("devices:names", data)


def answered(topic, data):
    key, _, answer = data.partition(b" ")
    if key in waiting and not waiting[key].done():
        waiting[key].set_result(answer)


async def app(scope, receive, send):
    worker = scope["extensions"]["reactorhost"]["worker"]
    if scope["type"] == "lifespan":
        worker.subscribe("devices:answers", answered)
        for phase in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{phase}.complete"})
        return
    assert scope["type"] == "http"
    text = (await receive())["body"]
    name = scope["path"][1:].encode()
    refs = [member.ref for member in worker.presence("devices:names") if member.info == name]
    status, answer = await asked(worker, refs[-1], text) if refs else (404, b"not connected")
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": answer})


async def asked(worker, ref, text):
    key = b"%d-%d" % (os.getpid(), next(numbers))
    waiting[key] = asyncio.get_running_loop().create_future()
    try:
        worker.send_to_ref(ref, key + b" " + text)
        return 200, await asyncio.wait_for(waiting[key], 5.0)
    except TimeoutError:
        return 504, b"no answer"
    finally:
        del waiting[key]
