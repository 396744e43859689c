"""A site on Django, as WSGI and as ASGI."""

from pathlib import Path

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import FileResponse, HttpResponse, StreamingHttpResponse
from django.urls import path


def hello(request):
    return HttpResponse(f"hello {request.GET['name']}")


def upload(request):
    file = request.FILES["file"]
    return HttpResponse(f"{file.name} {sum(map(len, file.chunks()))}")


def stream(request):
    if hasattr(request, "scope"):

        async def parts():
            for number in range(5):
                yield f"{number}\n"

        return StreamingHttpResponse(parts(), content_type="text/plain")
    return StreamingHttpResponse((f"{number}\n" for number in range(5)), content_type="text/plain")


def file(request):
    return FileResponse(Path(request.GET["path"]).open("rb"))


urlpatterns = [path("hello", hello), path("upload", upload), path("stream", stream), path("file", file)]

settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="not one", MIDDLEWARE=[])
asgi = get_asgi_application()
wsgi = get_wsgi_application()
