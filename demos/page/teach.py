"""The tab Teach: a model of the visitor's own actions, learnt while the camera runs."""

from __future__ import annotations

from typing import Any

import gradio as gr

from actionstream.demos.page.markup import own
from actionstream.demos.page.messages import failure, plain
from actionstream.demos.page.site import CHECKPOINT_SUFFIXES, Site
from actionstream.models.common.errors import ActionstreamError

PAGE = """
<div class="as-live as-form">
  <div class="as-stage" data-part="teach-stage" data-on="">
    <video class="as-camera" data-part="teach-video" muted playsinline aria-label="Your camera"></video>
    <p class="as-hint">Waiting for the camera. If your browser asks for it, allow it.</p>
    <ol class="as-steps">
      <li>Start the camera.</li>
      <li>Name two actions, such as wave and clap.</li>
      <li>Record each of them twice: hold Record while you act.</li>
    </ol>
    <p class="as-error" data-part="teach-error" role="alert" hidden></p>
  </div>
  <div class="as-panel">
    <div class="as-begin">
      <button type="button" class="as-main" data-part="teach-start" data-idle="Start the camera"
        data-busy="Stop the camera">Start the camera</button>
    </div>
    <p class="as-message as-told" data-part="teach-state" role="status">Opening</p>
    <p class="as-message as-told" data-part="teach-message" role="status"></p>
    <p class="as-label" data-part="teach-label" aria-live="polite"></p>
    <div class="as-bars" data-part="teach-bars"></div>
    <dl class="as-figures" data-part="teach-figures" hidden>
      <div><dt>snippets/s</dt><dd data-part="teach-rate"></dd></div>
      <div><dt>latency</dt><dd data-part="teach-latency"></dd></div>
      <div><dt>dropped</dt><dd data-part="teach-drops">0</dd></div>
    </dl>
  </div>
</div>
"""

LESSON = """
<div class="as-panel as-form">
  <div class="as-new">
    <label>New label <input type="text" data-part="teach-name" maxlength="200" autocomplete="off"></label>
    <button type="button" data-part="teach-add">Add</button>
    <span class="as-moment">Hold Record while you act. A click counts down
      <label><input type="number" data-part="teach-countdown" value="3" min="0" max="60" step="1"
        aria-label="Seconds of the countdown"> s</label> and records
      <label><input type="number" data-part="teach-length" value="2" min="0.5" max="60" step="0.5"
        aria-label="Seconds of a clip"> s</label>.
      While it runs, a number key says what the last seconds were.</span>
  </div>
  <ul class="as-labels" data-part="teach-labels" aria-label="Labels"></ul>
  <div data-part="teach-report" hidden>
    <ul class="as-sentences" data-part="teach-sentences" aria-live="polite"></ul>
    <div class="as-table"><table class="as-confusion" data-part="teach-confusion"></table></div>
  </div>
  <p class="as-downloads"><a data-part="teach-download" download hidden>Download the model, with its examples</a></p>
</div>
"""


def build(site: Site) -> None:
    """Put the tab into the Blocks that are open."""
    limits = site.limits

    def open_(token: str, request: gr.Request) -> Any:
        try:
            lesson = site.open_lesson(site.session(str(request.session_hash)), str(token))
        except ActionstreamError as error:
            return {"error": plain(error)}
        return {"lesson": lesson.token, "maxSeconds": limits.max_example_seconds}

    def begin(request: gr.Request) -> Any:
        try:
            return site.begin_lesson(site.session(str(request.session_hash)))
        except ActionstreamError as error:
            return {"error": plain(error)}

    def take(upload: dict[str, Any] | None, request: gr.Request) -> str:
        if upload is None:
            return ""
        try:
            site.take_lesson(site.session(str(request.session_hash)), str(upload.get("path", "")))
        except (ActionstreamError, OSError) as error:
            return failure(error)
        return ""

    own(PAGE)
    # scripts press these: teach.js when the tab is shown, live.js when the visitor starts
    opening = gr.Button("Open", elem_id="teach-open", elem_classes="behind")
    start = gr.Button("Start the camera", elem_id="teach-begin", elem_classes="behind")
    own(LESSON)
    told = own()
    with gr.Accordion("Go on with a model that you taught before", open=False):
        own(
            '<p class="as-moment">Choose the file that you downloaded here: its examples are added to these. '
            "<code>actionstream watch --model</code> runs it, too.</p>"
        )
        upload = gr.File(
            label="A model that was taught (.safetensors)", file_types=list(CHECKPOINT_SUFFIXES), height=84,
            elem_id="teach-upload",
        )  # fmt: skip
    own(
        f'<p class="as-moment">At most {limits.max_labels} labels, {limits.max_examples} examples and '
        f"{limits.max_example_seconds:g} s for each. The server keeps features and a few small pictures of each "
        f"example, for you alone. They go {limits.lesson_seconds / 60:g} min after you leave. The file to download "
        "has the features and no picture.</p>"
    )

    token, lesson, ticket = gr.Textbox(visible=False), gr.JSON(visible=False), gr.JSON(visible=False)
    quietly: dict[str, Any] = {"show_progress": "hidden", "concurrency_limit": 8}
    opened = opening.click(open_, token, lesson, js="() => actionstream.teach.token()", **quietly)
    opened.then(None, lesson, None, js="(lesson) => actionstream.teach.open(lesson)")
    begun = start.click(begin, None, ticket, trigger_mode="always_last", **quietly)
    begun.then(None, ticket, None, js="(ticket) => actionstream.teach.start(ticket && { ...ticket, camera: true })")
    # preprocess=False: gradio would leave a copy of the file behind
    taken = upload.upload(take, upload, told, preprocess=False, show_progress="hidden", concurrency_limit=2)
    taken.then(lambda: None, None, upload, show_progress="hidden").then(
        None, None, None, js="() => actionstream.teach.refresh()"
    )
