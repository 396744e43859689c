"""A site on Flask."""

from flask import Flask, Response, request, send_file, stream_with_context

app = Flask(__name__)


@app.get("/hello")
def hello():
    return f"hello {request.args['name']}"


@app.post("/upload")
def upload():
    file = request.files["file"]
    return f"{file.filename} {len(file.read())}"


@app.get("/stream")
def stream():
    @stream_with_context
    def parts():
        for number in range(5):
            assert request.path == "/stream"
            yield f"{number}\n"

    return Response(parts(), mimetype="text/plain")


@app.get("/file")
def file():
    return send_file(request.args["path"], conditional=True)
