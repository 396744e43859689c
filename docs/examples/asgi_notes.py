"""Send each note that is posted to every browser that listens, whichever worker it is connected to."""

import asyncio


async def app(scope, receive, send):
    assert scope["type"] == "http"
    worker = scope["extensions"]["reactorhost"]["worker"]
    if scope["method"] == "POST":
        worker.publish("notes", (await receive())["body"])
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})
        return
    notes = asyncio.Queue()
    subscription = worker.subscribe("notes", lambda topic, note: notes.put_nowait(note))
    end = asyncio.create_task(disconnected(receive))
    end.add_done_callback(lambda task: notes.put_nowait(None))
    headers = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b": listening\n\n", "more_body": True})
    while (note := await notes.get()) is not None:
        await send({"type": "http.response.body", "body": b"data: %s\n\n" % note, "more_body": True})
    subscription.cancel()


async def disconnected(receive):
    while (await receive())["type"] != "http.disconnect":
        pass
