"""The routes of the tab Annotate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from actionstream.demos.page.annotations import Changed, Entry, LabelChange
from actionstream.demos.page.projects import Project
from actionstream.demos.page.routes import GONE, MEDIA_TYPES
from actionstream.demos.page.site import Site
from actionstream.models.common.checked import parse_json
from actionstream.models.common.errors import ActionstreamError


class AnnotateRoutes:
    """The handlers; whoever knows the token of a project may use it. A video is asked for by its name in `?video=`."""

    def __init__(self, site: Site):
        self._site = site

    def routes(self) -> list[BaseRoute]:
        reads = {"state": self.state, "entry": self.entry, "video": self.video, "file": self.file, "draft": self.draft}
        posts = {"save": self.save, "label": self.label, "begin-draft": self.begin_draft, "stop-draft": self.stop_draft}
        return [
            *(Route(f"/annotate/{{token}}/{name}", self._handling(do)) for name, do in reads.items()),
            *(Route(f"/annotate/{{token}}/{name}", self._handling(do), methods=["POST"]) for name, do in posts.items()),
        ]

    def state(self, project: Project, request: Request, body: str) -> Response:
        return JSONResponse(project.state())

    def entry(self, project: Project, request: Request, body: str) -> Response:
        return JSONResponse(project.entry(_video(request)))

    def video(self, project: Project, request: Request, body: str) -> Response:
        """The video file for the player, with range requests."""
        path = project.path(_video(request))
        return FileResponse(path, media_type=MEDIA_TYPES.get(path.suffix.lower(), "application/octet-stream"))

    def file(self, project: Project, request: Request, body: str) -> Response:
        """The annotations, to download."""
        path = project.annotations.path
        return FileResponse(path, media_type="application/json", filename="annotations.json") if path.exists() else GONE

    def save(self, project: Project, request: Request, body: str) -> Response:
        """Save a video; where the page has not seen its newest entry, answer with that, and save nothing."""
        entry = parse_json(body, Entry, "the annotations")
        project.path(entry.video)
        try:
            return JSONResponse({"version": project.annotations.save(entry)})
        except Changed:
            return JSONResponse({"changed": project.entry(entry.video)})

    def label(self, project: Project, request: Request, body: str) -> Response:
        project.annotations.change_label(parse_json(body, LabelChange, "the label"))
        return JSONResponse(project.state())

    def begin_draft(self, project: Project, request: Request, body: str) -> Response:
        hub = self._site.hub(project.model or self._site.model)
        self._site.projects.begin_draft(project, _video(request), hub)
        return Response(status_code=204)

    def stop_draft(self, project: Project, request: Request, body: str) -> Response:
        project.stop_draft()
        return Response(status_code=204)

    def draft(self, project: Project, request: Request, body: str) -> Response:
        """How far the model is, or what it proposes."""
        draft = project.draft
        return GONE if draft is None or draft.video != _video(request) else JSONResponse(draft.state())

    def _handling(self, do: Callable[[Project, Request, str], Response]) -> Callable[[Request], Any]:
        async def handle(request: Request) -> Response:
            project = self._site.projects.find(request.path_params["token"])
            if project is None:
                return GONE
            try:
                return await run_in_threadpool(do, project, request, (await request.body()).decode())
            except (ActionstreamError, OSError, UnicodeDecodeError) as error:
                return PlainTextResponse(str(error), status_code=400)

        return handle


def _video(request: Request) -> str:
    return request.query_params.get("video", "")
