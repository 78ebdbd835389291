"""The tab Teach: a model of the visitor's own actions, learnt while the camera runs."""

from __future__ import annotations

from typing import Any

import gradio as gr

from actionstream.demos.page.messages import plain
from actionstream.demos.page.site import CHECKPOINT_SUFFIXES, Site
from actionstream.models.common.errors import ActionstreamError

STAGE = """
<div class="as-stage" data-part="teach-stage" data-on="">
  <video data-part="teach-video" muted playsinline aria-label="Your camera"></video>
  <p class="as-hint">Press Start the camera, name two actions, and record two examples or more of each. Frames go to the
    server of this page and nowhere else.</p>
</div>
<p class="as-message as-told" data-part="teach-message" role="status"></p>
"""

PANEL = """
<div class="as-panel">
  <p class="as-label" data-part="teach-label" aria-live="polite">-</p>
  <div class="as-bars" data-part="teach-bars"></div>
  <dl class="as-figures">
    <div><dt>snippets/s</dt><dd data-part="teach-rate">-</dd></div>
    <div><dt>latency</dt><dd data-part="teach-latency">-</dd></div>
    <div><dt>dropped</dt><dd data-part="teach-drops">0</dd></div>
  </dl>
  <p class="as-message as-told" data-part="teach-state" role="status">Opening</p>
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


def build(site: Site, tab: gr.Tab) -> None:
    """Put the tab into the Blocks that are open."""
    limits = site.limits

    def open_(token: str, request: gr.Request) -> Any:
        try:
            lesson = site.open_lesson(site.session(str(request.session_hash)), str(token))
        except ActionstreamError as error:
            gr.Warning(plain(error))
            return None
        return {"lesson": lesson.token, "maxSeconds": limits.max_example_seconds}

    def begin(request: gr.Request) -> Any:
        try:
            return site.begin_lesson(site.session(str(request.session_hash)))
        except ActionstreamError as error:
            gr.Warning(plain(error))
            return None

    def take(upload: dict[str, Any] | None, request: gr.Request) -> None:
        if upload is None:
            return
        try:
            site.take_lesson(site.session(str(request.session_hash)), str(upload.get("path", "")))
        except (ActionstreamError, OSError) as error:
            gr.Warning(plain(error))

    with gr.Row():
        with gr.Column(scale=3, min_width=300):
            gr.HTML(STAGE, apply_default_css=False)
        with gr.Column(scale=2, min_width=280):
            gr.HTML(PANEL, apply_default_css=False)
    with gr.Row(elem_classes="as-controls"):
        start = gr.Button("Start the camera", variant="primary", scale=1, min_width=140)
        stop = gr.Button("Stop the camera", scale=1, min_width=140)
    gr.HTML(LESSON, apply_default_css=False)
    gr.Markdown(
        f"Up to {limits.max_labels} labels, {limits.max_examples} examples and {limits.max_example_seconds:g} s an "
        "example. The server keeps features and a few small pictures of each example, for you alone, until "
        f"{limits.lesson_seconds / 60:g} min after you leave. The file to download has the features and no picture; "
        "`actionstream watch --model` runs it, and uploaded here it goes on."
    )
    upload = gr.File(
        label="A model that was taught (.safetensors)", file_types=list(CHECKPOINT_SUFFIXES), height=110,
        elem_id="teach-upload",
    )  # fmt: skip

    token, lesson, ticket = gr.Textbox(visible=False), gr.JSON(visible=False), gr.JSON(visible=False)
    quietly: dict[str, Any] = {"show_progress": "hidden", "concurrency_limit": 8}
    opened = tab.select(open_, token, lesson, js="() => actionstream.teach.token()", **quietly)
    opened.then(None, lesson, None, js="(lesson) => actionstream.teach.open(lesson)")
    start.click(None, None, None, js="() => actionstream.teach.say('Starting')")
    begun = start.click(begin, None, ticket, trigger_mode="always_last", **quietly)
    begun.then(None, ticket, None, js="(ticket) => actionstream.teach.start(ticket && { ...ticket, camera: true })")
    stop.click(None, None, None, js="() => actionstream.teach.stop()")
    # preprocess=False: gradio would leave a copy of the file behind
    taken = upload.upload(take, upload, None, preprocess=False, show_progress="hidden", concurrency_limit=2)
    taken.then(lambda: None, None, upload, show_progress="hidden").then(
        None, None, None, js="() => actionstream.teach.refresh()"
    )
