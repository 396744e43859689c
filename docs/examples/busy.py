import json

from reactorhost import ThreadQueueFullError, hookimpl


class Reports:
    """Answer the path of a JSON file with the number of its entries, or say why not."""

    @hookimpl
    def worker_start(self, worker):
        self.worker = worker

    @hookimpl
    def receive(self, connection, data):
        def answer(text):
            timer.cancel()
            connection.send(f"{text}\n".encode())
            connection.resume()

        def fail(error):
            answer(f"error: {type(error).__name__}")

        def give_up():
            task.cancel()
            answer("error: too slow")

        try:
            task = self.worker.run_in_thread(count, data.strip(), on_result=answer, on_error=fail)
        except ThreadQueueFullError:
            connection.send(b"error: busy\n")
            return
        connection.pause()
        timer = connection.call_later(5.0, give_up)


def count(path):
    with open(path, encoding="utf-8") as file:
        return len(json.load(file))
