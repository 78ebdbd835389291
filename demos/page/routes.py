"""What the page asks of the server beside what gradio does: frames go up and answers come down."""

from __future__ import annotations

import io
import math
from pathlib import Path

from PIL import Image
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from actionstream.demos.page.answers import describe
from actionstream.demos.page.clips import timeline
from actionstream.demos.page.hub import Settings
from actionstream.demos.page.site import Site
from actionstream.demos.page.visitor import MAX_BYTES, PageSource, read_picture
from actionstream.models.errors import ActionstreamError

FILES = {name: Path(__file__).with_name(name) for name in ("page.js", "page.css")}
GONE = PlainTextResponse("this is not here any more", status_code=404)
ENDED = JSONResponse({"gone": True})
"""Of a live stream. No error: while a stream ends, its page may have asked already."""
PREVIEW_PIXELS = 640


class Routes:
    """A live stream, or a video, belongs to who knows its token."""

    def __init__(self, site: Site):
        self._site = site

    def routes(self) -> list[Route]:
        return [
            Route("/page/{name}", self.file),
            Route("/live/status", self.status),
            Route("/live/{token}/frame", self.frame, methods=["POST"]),
            Route("/live/{token}/picture", self.picture),
            Route("/live/{token}/adjust", self.adjust, methods=["POST"]),
            Route("/live/{token}/reset", self.reset, methods=["POST"]),
            Route("/live/{token}/leave", self.leave, methods=["POST"]),
            Route("/video/{token}/file", self.video),
            Route("/video/{token}/timeline", self.timeline),
            Route("/video/{token}/at", self.at),
            Route("/video/{token}/download/{kind}", self.download),
        ]

    async def file(self, request: Request) -> Response:
        path = FILES.get(request.path_params["name"])
        return GONE if path is None else FileResponse(path)

    def status(self, request: Request) -> Response:
        return JSONResponse({"streams": self._site.num_streams()})

    async def frame(self, request: Request) -> Response:
        """A frame of the page's camera, or nothing where the source is elsewhere; answered by what is new."""
        token = request.path_params["token"]
        found = self._site.live(token)
        if found is None:
            return ENDED
        hub, visitor = found
        data = bytearray()
        async for part in request.stream():
            data += part
            if len(data) > MAX_BYTES:
                return PlainTextResponse("too large", status_code=413)
        try:
            if data and isinstance(visitor.source, PageSource):
                time_seconds = float(request.query_params["time"])
                if not math.isfinite(time_seconds):
                    raise ActionstreamError("a time is a number")
                visitor.source.put(read_picture(bytes(data)), time_seconds)
        except (KeyError, ValueError) as error:
            return PlainTextResponse(str(error), status_code=400)
        news = await visitor.news()
        counts = hub.counts(token)
        return JSONResponse(
            {
                "news": news,
                "ended": visitor.ended,
                "failure": hub.failure,
                "labelled": counts.labelled,
                "lost": counts.lost,
                "streams": len(hub.engine.streams),
            }
        )

    async def picture(self, request: Request) -> Response:
        """The newest frame of an address, as JPEG."""
        found = self._site.live(request.path_params["token"])
        if found is None or found[1].picture is None:
            return ENDED
        image = Image.fromarray(found[1].picture)
        image.thumbnail((PREVIEW_PIXELS, PREVIEW_PIXELS))
        data = io.BytesIO()
        image.save(data, "JPEG", quality=80)
        return Response(data.getvalue(), media_type="image/jpeg", headers={"Cache-Control": "no-store"})

    async def adjust(self, request: Request) -> Response:
        token = request.path_params["token"]
        found = self._site.live(token)
        if found is None:
            return ENDED
        try:
            values = (float(request.query_params[name]) for name in ("threshold", "smoothing"))
            found[0].engine.set(token, Settings(*values))
        except (KeyError, ValueError) as error:
            return PlainTextResponse(str(error), status_code=400)
        return Response(status_code=204)

    async def reset(self, request: Request) -> Response:
        token = request.path_params["token"]
        found = self._site.live(token)
        if found is None:
            return ENDED
        if token in found[0].engine.streams:
            found[0].engine.reset(token)
        return Response(status_code=204)

    def leave(self, request: Request) -> Response:
        self._site.end_live(request.path_params["token"])
        return Response(status_code=204)

    async def video(self, request: Request) -> Response:
        """The video itself, for the player; parts of it, as it asks for them."""
        finished = self._site.finished(request.path_params["token"])
        return GONE if finished is None else FileResponse(finished.clip.path)

    def timeline(self, request: Request) -> Response:
        finished = self._site.finished(request.path_params["token"])
        return GONE if finished is None else JSONResponse(timeline(finished.clip, finished.found))

    def at(self, request: Request) -> Response:
        """What the live engine would have said at a moment."""
        finished = self._site.finished(request.path_params["token"])
        if finished is None:
            return GONE
        try:
            prediction = finished.clip.at(float(request.query_params["time"]))
        except (KeyError, ValueError) as error:
            return PlainTextResponse(str(error), status_code=400)
        names = finished.clip.hub.engine.card.labels
        best = []
        if prediction is not None and not prediction.warming_up:
            best = [[names[i], score] for i, score in describe(prediction)["scores"][:5]]
        return JSONResponse({"time": None if prediction is None else prediction.time_seconds, "best": best})

    def download(self, request: Request) -> Response:
        finished = self._site.finished(request.path_params["token"])
        path = finished and finished.files.get(request.path_params["kind"])
        return FileResponse(path, filename=path.name) if path else GONE
