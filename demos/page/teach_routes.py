"""The routes of the tab Teach."""

from __future__ import annotations

from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from actionstream.demos.page.lesson import Lesson
from actionstream.demos.page.routes import GONE, number_of
from actionstream.demos.page.site import Site
from actionstream.demos.page.taught import TaughtVisitor
from actionstream.models.common.errors import ActionstreamError

NO_CAMERA = "the camera does not run; start it first"


class TeachRoutes:
    """The handlers; whoever knows the token of a lesson may use it. Labels are the bodies of requests."""

    def __init__(self, site: Site):
        self._site = site

    def routes(self) -> list[BaseRoute]:
        changes = {"add-label": self.add_label, "remove-label": self.remove_label, "remove": self.remove}
        changes |= {"add": self.add, "correct": self.correct}
        return [
            Route("/teach/{token}/state", self.state),
            Route("/teach/{token}/picture", self.picture),
            Route("/teach/{token}/checkpoint", self.checkpoint),
            *(Route(f"/teach/{{token}}/{name}", self._changing(do), methods=["POST"]) for name, do in changes.items()),
        ]

    def state(self, request: Request) -> Response:
        lesson = self._lesson(request)
        return GONE if lesson is None else JSONResponse(lesson.state())

    def picture(self, request: Request) -> Response:
        """A picture of an example."""
        lesson = self._lesson(request)
        try:
            data = lesson and lesson.picture(int(number_of(request, "example")), int(number_of(request, "place")))
        except ActionstreamError as error:
            return PlainTextResponse(str(error), status_code=400)
        return Response(data, media_type="image/jpeg", headers={"Cache-Control": "no-store"}) if data else GONE

    def checkpoint(self, request: Request) -> Response:
        """The checkpoint of a lesson, with its examples."""
        lesson = self._lesson(request)
        if lesson is None:
            return GONE
        try:
            path = self._site.write_lesson(lesson)
        except ActionstreamError as error:
            return PlainTextResponse(str(error), status_code=400)
        return FileResponse(path, media_type="application/octet-stream", filename="taught.safetensors")

    def add_label(self, lesson: Lesson, label: str, request: Request) -> None:
        lesson.add_label(label)

    def remove_label(self, lesson: Lesson, label: str, request: Request) -> None:
        lesson.remove_label(label)

    def remove(self, lesson: Lesson, label: str, request: Request) -> None:
        lesson.remove(int(number_of(request, "example")))

    def add(self, lesson: Lesson, label: str, request: Request) -> None:
        """Add what the stream has shown between two times."""
        self._visitor(lesson, request).add(label, number_of(request, "begin"), number_of(request, "end"))

    def correct(self, lesson: Lesson, label: str, request: Request) -> None:
        self._visitor(lesson, request).correct(label)

    def _lesson(self, request: Request) -> Lesson | None:
        return self._site.lessons.find(request.path_params["token"])

    def _visitor(self, lesson: Lesson, request: Request) -> TaughtVisitor:
        live = self._site.live(request.query_params.get("stream", ""))
        if live is None or not isinstance(live.visitor, TaughtVisitor) or live.visitor.lesson is not lesson:
            raise ActionstreamError(NO_CAMERA)
        return live.visitor

    def _changing(self, do: Callable[[Lesson, str, Request], None]) -> Callable:
        """The handler of a change; it answers with the new state."""

        async def handle(request: Request) -> Response:
            lesson = self._lesson(request)
            if lesson is None:
                return GONE
            try:
                label = (await request.body()).decode()
                await run_in_threadpool(do, lesson, label, request)
            except (ActionstreamError, UnicodeDecodeError) as error:
                return PlainTextResponse(str(error), status_code=400)
            return JSONResponse(lesson.state())

        return handle
