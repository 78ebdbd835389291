"""The tab Annotate: a person marks what happens when in a video, from nothing or from what a model proposes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from actionstream.demos.page.markup import own
from actionstream.demos.page.messages import failure
from actionstream.demos.page.sessions import Session
from actionstream.demos.page.site import Site
from actionstream.demos.page.video import SUFFIXES
from actionstream.models.common.errors import ActionstreamError
from actionstream.sources import SAMPLE

TAB = "annotate"
"""The identifier of the tab."""

EDITOR = """
<p class="as-message as-told" data-part="annotate-message" role="status"></p>
<div class="as-panel as-form as-annotate" data-part="annotate" hidden>
  <div class="as-new">
    <label>Video <select data-part="annotate-video"></select></label>
    <button type="button" data-part="annotate-next">Next to review</button>
    <label><input type="checkbox" data-part="annotate-reviewed"> Reviewed</label>
    <span class="as-moment" data-part="annotate-count"></span>
    <span class="as-saved" data-part="annotate-saved" role="status"></span>
    <a data-part="annotate-download" href="" download hidden>Download JSON</a>
  </div>
  <div class="as-new as-conflict" data-part="annotate-conflict" role="alert" hidden>
    <span>This video was changed in another tab or by another program. Your last changes are not saved.</span>
    <button type="button" data-part="annotate-theirs">Load what is saved</button>
    <button type="button" data-part="annotate-mine">Save mine over it</button>
  </div>
  <div class="as-work">
    <div class="as-screen">
      <video class="as-player" data-part="annotate-player" controls playsinline preload="auto"
        aria-label="The video"></video>
      <div class="as-new as-transport">
        <button type="button" data-part="annotate-play">Play</button>
        <button type="button" data-part="annotate-back" aria-label="One frame back"
          aria-keyshortcuts=",">◂ <kbd>,</kbd></button>
        <output class="as-time" data-part="annotate-time" aria-live="off">0:00.000</output>
        <button type="button" data-part="annotate-forward" aria-label="One frame forward"
          aria-keyshortcuts="."><kbd>.</kbd> ▸</button>
        <label>Speed <select data-part="annotate-speed">
          <option value="0.25">0.25</option><option value="0.5">0.5</option><option value="1" selected>1</option>
          <option value="1.5">1.5</option><option value="2">2</option><option value="4">4</option>
        </select></label>
      </div>
    </div>
    <div class="as-list as-table" tabindex="0" role="region" aria-label="Segments">
      <table><thead><tr><th scope="col">label</th><th scope="col">start</th><th scope="col">end</th>
        <th scope="col"><span class="as-unseen">actions</span></th></tr></thead>
        <tbody data-part="annotate-rows"></tbody></table>
      <p class="as-moment" data-part="annotate-empty"></p>
    </div>
    <div class="as-lower">
      <div class="as-new">
        <span class="as-group">
          <button type="button" data-part="annotate-draft">Draft</button>
          <button type="button" data-part="annotate-accept" hidden>Accept all</button>
          <button type="button" data-part="annotate-reject" hidden>Reject all</button>
        </span>
        <span class="as-group">
          <button type="button" data-part="annotate-undo">Undo</button>
          <button type="button" data-part="annotate-redo">Redo</button>
          <button type="button" data-part="annotate-delete">Delete</button>
        </span>
        <span class="as-group">
          <button type="button" data-part="annotate-out" aria-label="Zoom out">&minus;</button>
          <button type="button" data-part="annotate-fit">Fit</button>
          <button type="button" data-part="annotate-in" aria-label="Zoom in">+</button>
        </span>
      </div>
      <div class="as-timeline">
        <div class="as-heads" data-part="annotate-heads" role="group" aria-label="Labels"></div>
        <div class="as-scroll" data-part="annotate-scroll" tabindex="0" role="group" aria-label="Timeline">
          <div class="as-inner" data-part="annotate-inner">
            <div class="as-ruler" data-part="annotate-ruler" role="slider" tabindex="0" aria-label="Time"
              aria-valuemin="0"></div>
            <div data-part="annotate-lanes"></div>
            <div class="as-now" data-part="annotate-now"></div>
          </div>
        </div>
      </div>
      <div class="as-new">
        <label>New label <input type="text" data-part="annotate-name" maxlength="200" autocomplete="off"></label>
        <button type="button" data-part="annotate-add">Add</button>
      </div>
      <details data-part="annotate-train" hidden><summary>Train on this</summary>
        <p>In a shell. A second run with <code>--features runs/live/features</code> looks only at new videos.</p>
        <pre data-part="annotate-commands" tabindex="0" aria-label="Commands"></pre></details>
      <details><summary>Names and colors of labels</summary>
        <ul class="as-labels" data-part="annotate-labels"></ul></details>
      <details><summary>Keys</summary><dl class="as-keys">
        <dt><kbd>1</kbd> to <kbd>9</kbd></dt><dd>start a segment of that label now; again: end it</dd>
        <dt><kbd>Esc</kbd></dt><dd>drop the segment that was started last, or the selection</dd>
        <dt><kbd>Space</kbd></dt><dd>play or pause</dd>
        <dt><kbd>,</kbd> <kbd>.</kbd></dt><dd>one frame back or forward</dd>
        <dt><kbd>←</kbd> <kbd>→</kbd></dt><dd>one second; with Shift ten</dd>
        <dt><kbd>Home</kbd> <kbd>End</kbd></dt><dd>begin and end of the video</dd>
        <dt><kbd>[</kbd> <kbd>]</kbd></dt><dd>the selected segment starts or ends now</dd>
        <dt><kbd>a</kbd></dt><dd>accept the selected proposal</dd>
        <dt><kbd>Del</kbd></dt><dd>delete the selected segment, or reject the proposal</dd>
        <dt><kbd>Ctrl</kbd> <kbd>Z</kbd></dt><dd>undo; with Shift redo</dd>
        <dt><kbd>+</kbd> <kbd>-</kbd></dt><dd>zoom</dd>
      </dl></details>
    </div>
  </div>
</div>
"""


WHOLE_ADDRESS = """
<p class="as-message as-told" data-part="annotate-address">Open the whole address that actionstream annotate prints,
  with what follows #.</p>
"""


def build(site: Site) -> None:
    """Put the tab into the Blocks that are open."""
    if site.project is not None:
        own(WHOLE_ADDRESS + EDITOR)  # annotate.js opens it
        return
    limits = site.limits

    def take(upload: dict[str, Any] | None, request: gr.Request) -> tuple[Any, Any, Any]:
        if upload is None:
            return None, "", None
        try:
            session = site.session(str(request.session_hash))
            path, name = site.take_upload(session, str(upload.get("path", "")), SUFFIXES)
        except ActionstreamError as error:
            return None, failure(error), None
        return None, "", open_(session, path, name)

    def take_sample(request: gr.Request) -> Any:
        return open_(site.session(str(request.session_hash)), SAMPLE, "sample.mp4")

    def open_(session: Session, path: Path, name: str) -> Any:
        return {"token": site.open_project(session, path, name).token}

    own(
        '<p class="as-intro">Mark what happens when: by keys, with the pointer, or from what the model proposes. '
        f'<span class="as-moment">At most {limits.max_megabytes:g} MB and {limits.max_minutes:g} min. The video and '
        "its annotations stay on the server of this page until you leave, for you alone. Download them before you go. "
        "<code>actionstream annotate</code> opens a folder of your own videos, and saves by itself.</span></p>"
    )
    with gr.Row(elem_classes="page-controls"):
        upload = gr.File(
            label="A video", file_types=SUFFIXES, height=84, scale=3, min_width=320, elem_id="annotate-upload"
        )
        sample = gr.Button("Use the sample", scale=1, min_width=140, elem_id="annotate-sample")
    told = own()
    own(EDITOR)
    ticket = gr.JSON(visible=False)
    quietly: dict[str, Any] = {"show_progress": "hidden", "concurrency_limit": 2}
    # preprocess=False: gradio would leave a copy of the file behind
    uploaded = upload.upload(take, upload, [upload, told, ticket], preprocess=False, **quietly)
    taken = sample.click(take_sample, None, ticket, **quietly)
    for event in (uploaded, taken):
        event.then(None, ticket, None, js="(ticket) => actionstream.annotate.open(ticket)")
