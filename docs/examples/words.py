from reactorhost import hookimpl


class Words:
    """Answer with the number of different words that this worker has received."""

    def __init__(self):
        self.seen = set()

    @hookimpl
    def worker_start(self, worker):
        self.words = worker.counter("words")

    @hookimpl
    def receive(self, connection, data):
        for word in data.split():
            self.words.add()
            self.seen.add(word)
        connection.send(b"%d\n" % len(self.seen))

    @hookimpl
    def stats(self):
        return {"different_words": len(self.seen)}
