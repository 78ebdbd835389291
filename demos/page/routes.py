"""The routes of the page that are not gradio's: upload of frames, predictions, videos and downloads."""

from __future__ import annotations

import asyncio
import io
import json
import math
from collections.abc import AsyncIterator
from contextlib import nullcontext
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from gradio.route_utils import GradioMultiPartParser, MultiPartException
from gradio_client.utils import strip_invalid_filename_characters
from PIL import Image
from python_multipart.exceptions import FormParserError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from actionstream.demos.page.answers import describe
from actionstream.demos.page.clips import timeline
from actionstream.demos.page.hub import Settings
from actionstream.demos.page.site import Site
from actionstream.demos.page.uploads import Progress
from actionstream.demos.page.visitor import PageSource, read_picture
from actionstream.models.common.errors import ActionstreamError
from actionstream.sources import SAMPLE

SCRIPTS = ("page.js", "strip.js", "live.js", "sample.js", "video.js", "teach.js", "timeline.js", "annotate.js")
"""In the order in which the page runs them."""
FILES = {name: Path(__file__).with_name(name) for name in (*SCRIPTS, "page.css")}
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
PROGRESS_SECONDS = 0.1
PROGRESS_WAIT_SECONDS = 3.0
"""The longest wait for an upload to begin."""
LOOKING_BACK = 4
"""The most `/at` requests that decode at once, so that other requests find free threads."""


class Routes:
    """The handlers; whoever knows the token of a live stream or a video may use it."""

    def __init__(self, site: Site):
        self._site = site
        self._looking_back = asyncio.Semaphore(LOOKING_BACK)
        self._progress = Progress()

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/page/{name}", self.file),
            Route("/gradio_api/upload", self.upload, methods=["POST"]),
            Route("/gradio_api/upload_progress", self.upload_progress),
            Route("/sample/video", self.sample_video),
            Route("/sample/scores", self.sample_scores),
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

    async def sample_video(self, request: Request) -> Response:
        return FileResponse(SAMPLE, media_type=MEDIA_TYPES[SAMPLE.suffix])

    def sample_scores(self, request: Request) -> Response:
        """What the page's model says of the sample, from row `first` on."""
        try:
            return JSONResponse(self._site.sample.state(int(number_of(request, "first"))))
        except ActionstreamError as error:
            return PlainTextResponse(str(error), status_code=400)

    async def upload(self, request: Request) -> Response:
        """Take one file in place of gradio, which names files by what is in them and keeps those that break off."""
        assert request.client is not None
        upload_id = request.query_params.get("upload_id", "")
        try:
            with (
                self._site.uploads.receive(request.client.host) as upload,
                self._progress.track(upload_id) if upload_id else nullcontext(),
            ):
                parser = GradioMultiPartParser(
                    request.headers,
                    request.stream(),
                    max_files=1,
                    max_fields=0,
                    upload_dir=upload.folder,
                    upload_id=upload_id,
                    upload_progress=self._progress if upload_id else None,  # type: ignore[arg-type]
                    max_file_size=int(self._site.limits.max_megabytes * 1e6),
                )
                form = await parser.parse()
                file = form.get("files")
                if not isinstance(file, UploadFile):
                    raise MultiPartException("there is no file")
                await file.close()
                upload.name = strip_invalid_filename_characters(Path(file.filename or "").name) or "file"
                Path(file.file.name).rename(upload.path)
        except (MultiPartException, FormParserError, KeyError) as error:  # KeyError: no Content-Type
            return PlainTextResponse(str(error), status_code=400)
        except ActionstreamError as error:
            return PlainTextResponse(str(error), status_code=429)
        return JSONResponse([str(upload.path)])

    async def upload_progress(self, request: Request) -> Response:
        """The progress of an upload as gradio's script reads it."""
        upload_id = request.query_params.get("upload_id", "")

        async def told() -> AsyncIterator[str]:
            until = perf_counter() + PROGRESS_WAIT_SECONDS
            while upload_id not in self._progress and perf_counter() < until:
                await asyncio.sleep(PROGRESS_SECONDS)
            while upload_id in self._progress:
                name, num_bytes = self._progress.pop(upload_id)
                if num_bytes:
                    yield _event({"msg": "update", "orig_name": name, "chunk_size": num_bytes})
                await asyncio.sleep(PROGRESS_SECONDS)
            yield _event({"msg": "done"})

        return StreamingResponse(told(), media_type="text/event-stream")

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
                time_seconds = number_of(request, "time")
                async with live.turn:  # frames keep their order
                    visitor.source.put(await run_in_threadpool(self._read_picture, data), time_seconds)
                live.heard = perf_counter()
        except ActionstreamError as error:
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

    def _read_picture(self, data: bytes) -> np.ndarray:
        return read_picture(data, max_pixels=self._site.limits.max_frame_pixels)

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
            settings = Settings(number_of(request, "threshold"), number_of(request, "smoothing"))
            found.hub.engine.set(token, settings)
        except ActionstreamError as error:
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
        finished = self._site.finished(request.path_params["token"])
        if finished is None:
            return GONE
        await request.body()  # what comes after it is that the client has hung up
        try:
            time_seconds = number_of(request, "time")
            async with finished.turn, self._looking_back:  # many requests for one video do not delay another's
                if await request.is_disconnected():  # while it waited for its turn
                    return GONE
                prediction = await run_in_threadpool(finished.clip.at, time_seconds)
        except ActionstreamError as error:
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


def number_of(request: Request, name: str) -> float:
    """A number of the query."""
    text = request.query_params.get(name, "")
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ActionstreamError(f"{name} is {text[:40]!r}; expected a number")
    return number


def _event(told: dict[str, Any]) -> str:
    return f"data: {json.dumps(told)}\n\n"
