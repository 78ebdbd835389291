"""The routes of the page that are not gradio's: upload of frames, predictions, videos and downloads."""

from __future__ import annotations

import asyncio
import io
import math
from pathlib import Path
from time import perf_counter

from PIL import Image
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from actionstream.demos.page.answers import describe
from actionstream.demos.page.clips import timeline
from actionstream.demos.page.hub import Settings
from actionstream.demos.page.site import Site
from actionstream.demos.page.visitor import PageSource, read_picture
from actionstream.models.common.errors import ActionstreamError

FILES = {name: Path(__file__).with_name(name) for name in ("page.js", "page.css")}
GONE = PlainTextResponse("this is not here any more", status_code=404)
MEDIA_TYPES = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".json": "application/json",
    ".csv": "text/csv",
    ".srt": "application/x-subrip",
    ".png": "image/png",
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".3gp": "video/3gpp",
    ".mov": "video/quicktime",
    ".mkv": "video/x-matroska",
    ".webm": "video/webm",
    ".ogv": "video/ogg",
    ".avi": "video/x-msvideo",
    ".mpg": "video/mpeg",
    ".mpeg": "video/mpeg",
    ".ts": "video/mp2t",
    ".wmv": "video/x-ms-wmv",
    ".flv": "video/x-flv",
}
"""Media types of all served files by suffix; none of them is HTML."""
ENDED = JSONResponse({"gone": True})
"""The answer for an ended live stream; status 200, since a request may be under way while the stream ends."""
PREVIEW_PIXELS = 640
LOOKING_BACK = 4
"""The most `/at` requests that decode at once, so that other requests find free threads."""


class Routes:
    """The handlers; whoever knows the token of a live stream or a video may use it."""

    def __init__(self, site: Site):
        self._site = site
        self._looking_back = asyncio.Semaphore(LOOKING_BACK)

    def routes(self) -> list[BaseRoute]:
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
        return GONE if path is None else FileResponse(path, media_type=MEDIA_TYPES[path.suffix])

    def status(self, request: Request) -> Response:
        return JSONResponse({"streams": self._site.num_streams()})

    async def frame(self, request: Request) -> Response:
        """Take a frame of the page's camera (an empty body for an address); answer with the news of the stream."""
        token = request.path_params["token"]
        live = self._site.live(token)
        if live is None:
            return ENDED
        hub, visitor = live.hub, live.visitor
        data = await request.body()
        try:
            if data and isinstance(visitor.source, PageSource):
                time_seconds = float(request.query_params["time"])
                if not math.isfinite(time_seconds):
                    raise ActionstreamError("a time is a number")
                async with live.turn:  # frames keep their order
                    visitor.source.put(await run_in_threadpool(read_picture, data), time_seconds)
                live.heard = perf_counter()
        except (KeyError, ValueError) as error:
            return PlainTextResponse(str(error), status_code=400)
        news = await visitor.news()
        counts = await run_in_threadpool(hub.counts, token)
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

    def picture(self, request: Request) -> Response:
        """The newest frame of an address, as JPEG."""
        found = self._site.live(request.path_params["token"])
        if found is None or found.visitor.picture is None:
            return ENDED
        image = Image.fromarray(found.visitor.picture)
        image.thumbnail((PREVIEW_PIXELS, PREVIEW_PIXELS))
        data = io.BytesIO()
        image.save(data, "JPEG", quality=80)
        return Response(data.getvalue(), media_type="image/jpeg", headers={"Cache-Control": "no-store"})

    def adjust(self, request: Request) -> Response:
        token = request.path_params["token"]
        found = self._site.live(token)
        if found is None:
            return ENDED
        try:
            values = (float(request.query_params[name]) for name in ("threshold", "smoothing"))
            found.hub.engine.set(token, Settings(*values))
        except (KeyError, ValueError) as error:
            return PlainTextResponse(str(error), status_code=400)
        return Response(status_code=204)

    def reset(self, request: Request) -> Response:
        token = request.path_params["token"]
        found = self._site.live(token)
        if found is None:
            return ENDED
        if token in found.hub.engine.streams:
            found.hub.engine.reset(token)
        return Response(status_code=204)

    def leave(self, request: Request) -> Response:
        self._site.end_live(request.path_params["token"])
        return Response(status_code=204)

    async def video(self, request: Request) -> Response:
        """The video file for the player, with range requests."""
        finished = self._site.finished(request.path_params["token"])
        if finished is None:
            return GONE
        path = finished.clip.path
        return FileResponse(path, media_type=MEDIA_TYPES.get(path.suffix, "application/octet-stream"))

    def timeline(self, request: Request) -> Response:
        finished = self._site.finished(request.path_params["token"])
        return GONE if finished is None else JSONResponse(timeline(finished.clip, finished.found))

    async def at(self, request: Request) -> Response:
        """The live prediction at a time of the video."""
        async with self._looking_back:
            return await run_in_threadpool(self._at, request)

    def _at(self, request: Request) -> Response:
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
        if not finished or not path:
            return GONE
        stem = Path(finished.clip.name).stem or "video"
        return FileResponse(path, media_type=MEDIA_TYPES[path.suffix], filename=f"{stem}{path.suffix}")
