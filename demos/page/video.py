"""The tab Video: the segments of a whole video, and the live prediction at each time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from actionstream.demos.page.messages import plain, progress
from actionstream.demos.page.sessions import Session
from actionstream.demos.page.site import Site
from actionstream.models.common.errors import ActionstreamError
from actionstream.sources import SAMPLE

SUFFIXES = [".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".ogv", ".wmv", ".flv", ".3gp"]
LOOK_EVERY_SECONDS = 0.3

RESULT = """
<div class="as-video" data-part="video-result" hidden>
  <p class="as-message" data-part="video-remarks" role="status"></p>
  <div class="as-side">
    <div>
      <video class="as-player" data-part="video-player" controls playsinline preload="metadata"></video>
      <p class="as-message" data-part="video-trouble" role="status"></p>
    </div>
    <div class="as-panel">
      <p class="as-moment">Live, at <span data-part="video-time">0:00.0</span></p>
      <p class="as-label as-smaller" data-part="video-label" aria-live="polite">-</p>
      <div class="as-bars" data-part="video-bars"></div>
      <p class="as-moment">The video as a whole (M-TWI)</p>
      <ol class="as-overall" data-part="video-overall"></ol>
    </div>
  </div>
  <div class="as-strip as-seek">
    <canvas data-part="video-strip" tabindex="0" role="slider" aria-valuemin="0"
      aria-label="Time in the video; a row for each class has its scores"></canvas>
  </div>
  <div class="as-table"><table>
    <thead><tr><th>start</th><th>end</th><th>label</th><th>score</th></tr></thead>
    <tbody data-part="video-segments"></tbody>
  </table></div>
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
            gr.Warning(plain(error))
            yield None, progress(), None
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
            gr.Warning(plain(error))
            yield progress(str(error)), None

    gr.Markdown(
        f"Up to {limits.max_megabytes:g} MB, {limits.max_minutes:g} min and {limits.max_height} lines. A video "
        "stays on the server of this page until you leave, for you alone, and is removed then."
    )
    with gr.Row(elem_classes="as-controls"):
        upload = gr.File(label="A video", file_types=SUFFIXES, height=110, scale=3, elem_id="video-upload")
        sample = gr.Button("Take the sample", scale=1, min_width=140)
    told = gr.HTML(progress())
    gr.HTML(RESULT, apply_default_css=False)
    ticket = gr.JSON(visible=False)
    quietly: dict[str, Any] = {"show_progress": "hidden", "concurrency_limit": 2, "concurrency_id": "label"}
    # preprocess=False: gradio would leave a copy of the file behind
    uploaded = upload.upload(label_upload, upload, [upload, told, ticket], preprocess=False, **quietly)
    taken = sample.click(label_sample, None, [told, ticket], **quietly)
    for event in (uploaded, taken):
        event.then(None, ticket, None, js="(ticket) => actionstream.video.show(ticket)")
