"""The tab Video: the segments of a whole video, and the live prediction at each time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from actionstream.demos.page.legend import legend
from actionstream.demos.page.markup import own
from actionstream.demos.page.messages import failure, progress
from actionstream.demos.page.sessions import Session
from actionstream.demos.page.site import Site
from actionstream.models.common.errors import ActionstreamError
from actionstream.sources import SAMPLE

SUFFIXES = [".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".ogv", ".wmv", ".flv", ".3gp"]
LOOK_EVERY_SECONDS = 0.3

RESULT = f"""
<div class="as-video" data-part="video-result" hidden>
  <div class="as-side">
    <div>
      <video class="as-player" data-part="video-player" controls playsinline preload="metadata"
        aria-label="The video"></video>
      <p class="as-error" data-part="video-error" role="alert" hidden></p>
    </div>
    <div class="as-panel">
      <p class="as-moment" data-part="video-remarks" role="status"></p>
      <p class="as-moment">Live label at <span data-part="video-time">0:00.0</span></p>
      <p class="as-label as-smaller" data-part="video-label" aria-live="polite"></p>
      <div class="as-bars" data-part="video-bars"></div>
      <div class="as-whole"><span class="as-moment">Whole-video scores</span>
        <ol class="as-overall" data-part="video-overall"></ol></div>
    </div>
  </div>
  <div class="as-strip as-seek">{legend("The whole video", "segment")}
    <canvas data-part="video-strip" tabindex="0" role="slider" aria-valuemin="0" aria-valuemax="1" aria-valuenow="0"
      aria-label="Time in the video; a row for each class has its scores"></canvas>
  </div>
  <div class="as-table"><table>
    <thead><tr><th scope="col">start</th><th scope="col">end</th><th scope="col">label</th>
      <th scope="col">score</th></tr></thead>
    <tbody data-part="video-segments"></tbody>
    <tbody class="as-pale-rows" data-part="video-quiet" aria-label="Nothing happens"></tbody>
  </table><p class="as-moment" data-part="video-none" hidden>The model is sure of no action in this video.</p></div>
  <p class="as-downloads" data-part="video-downloads"></p>
</div>
"""


def build(site: Site) -> None:
    """Put the tab into the Blocks that are open."""
    limits = site.limits

    def label_upload(upload: dict[str, Any] | None, request: gr.Request) -> Iterator[tuple[Any, Any, Any]]:
        if upload is None:
            return
        try:
            session = site.session(str(request.session_hash))
            path, name = site.take_upload(session, str(upload.get("path", "")), SUFFIXES)
        except ActionstreamError as error:
            yield None, failure(error), None
            return
        for told, ticket in label(session, path, name):
            yield None, told, ticket

    def label_sample(request: gr.Request) -> Iterator[tuple[Any, Any]]:
        yield from label(site.session(str(request.session_hash)), SAMPLE, "sample.mp4")

    def label(session: Session, path: Path, name: str) -> Iterator[tuple[Any, Any]]:
        """Yield the progress, and at the end the token of the result; a message where labelling failed."""
        try:
            clip = site.begin_clip(session, path, name)
            while not clip.done.wait(LOOK_EVERY_SECONDS) and clip.hub.failure is None:
                if session.clip is not clip:
                    return
                yield progress(f"Labelling {name}", clip.seconds_done, clip.seconds), None
            yield progress(f"Labelling {name}", 1, 1), None
            yield progress(), site.finish_clip(session, clip)
        except (ActionstreamError, OSError) as error:
            site.forget_clip(session)
            yield failure(error), None

    own(
        '<p class="as-intro">Each action of a video with its start and end, and the live label at any moment. '
        f'<span class="as-moment">At most {limits.max_megabytes:g} MB, {limits.max_minutes:g} min and '
        f"{limits.max_height} lines. The video stays on the server of this page until you leave, for you alone."
        "</span></p>"
    )
    with gr.Row(elem_classes="page-controls"):
        upload = gr.File(
            label="A video", file_types=SUFFIXES, height=84, scale=3, min_width=320, elem_id="video-upload"
        )
        sample = gr.Button("Use the sample", scale=1, min_width=140, elem_id="video-sample")
    told = own(progress())
    own(RESULT)
    ticket = gr.JSON(visible=False)
    quietly: dict[str, Any] = {"show_progress": "hidden", "concurrency_limit": 2, "concurrency_id": "label"}
    # preprocess=False: gradio would leave a copy of the file behind
    uploaded = upload.upload(label_upload, upload, [upload, told, ticket], preprocess=False, **quietly)
    taken = sample.click(label_sample, None, [told, ticket], **quietly)
    for event in (uploaded, taken):
        event.then(None, ticket, None, js="(ticket) => actionstream.video.show(ticket)")
