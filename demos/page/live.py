"""The tab Live: labels of a camera or an address; a sample plays until one of them is started."""

from __future__ import annotations

from html import escape
from typing import Any

import gradio as gr

from actionstream.demos.page.hub import Settings
from actionstream.demos.page.legend import legend
from actionstream.demos.page.markup import own
from actionstream.demos.page.messages import plain
from actionstream.demos.page.site import Site
from actionstream.models.common.errors import ActionstreamError

CAMERA, ADDRESS = "This device's camera", "An address"
DEFAULT = Settings()


def _source(value: str, attributes: str = "") -> str:
    """A choice of where frames come from."""
    return (
        f'<label><input type="radio" name="live-source" value="{escape(value)}" {attributes}> {escape(value)}</label>'
    )


PAGE = f"""
<div class="as-live as-form">
  <div class="as-stage" data-part="live-stage" data-on="sample" data-overlay="">
    <video class="as-sample" data-part="live-sample" src="sample/video" muted loop playsinline preload="auto"
      aria-label="The sample: a hand moves in several directions"></video>
    <video class="as-camera" data-part="live-video" muted playsinline aria-label="Your camera"></video>
    <img data-part="live-picture" alt="Frames of the address">
    <p class="as-hint">Waiting for the first frame</p>
    <p class="as-badge">Sample</p>
    <button type="button" class="as-pause" data-part="live-pause">Pause</button>
    <p class="as-overlay" data-part="live-overlay" aria-hidden="true"></p>
    <p class="as-error" data-part="live-error" role="alert" hidden></p>
  </div>
  <div class="as-panel">
    <div class="as-begin">
      <button type="button" class="as-main" data-part="live-start" data-idle="Start the camera"
        data-busy="Stop">Start the camera</button>
      <fieldset class="as-choice" data-part="live-sources"><legend class="as-unseen">Where frames come from</legend>
        {_source(CAMERA, "checked")} {_source(ADDRESS)}</fieldset>
      <label class="as-address" hidden>Address <input type="text" data-part="live-address" autocomplete="off"
        spellcheck="false" placeholder="rtsp://camera/stream"></label>
    </div>
    <p class="as-message" data-part="live-message" role="status"></p>
    <p class="as-label" data-part="live-label" aria-live="polite"></p>
    <div class="as-bars" data-part="live-bars"></div>
    <dl class="as-figures" data-part="live-figures" hidden>
      <div><dt>frames/s</dt><dd data-part="live-rate"></dd></div>
      <div><dt>latency</dt><dd data-part="live-latency"></dd></div>
      <div><dt>dropped</dt><dd data-part="live-drops">0</dd></div>
      <div><dt>labelled</dt><dd data-part="live-labelled">0</dd></div>
      <div><dt>streams</dt><dd data-part="live-streams">0</dd></div>
    </dl>
  </div>
  <div class="as-strip as-wide">{legend("The last 30 seconds", "detected", part="live-strip-title")}
    <canvas data-part="live-strip" role="img"
      aria-label="Scores over time, a row for each class, with detections marked"></canvas></div>
  <details class="as-wide"><summary>Settings</summary>
    <div class="as-settings">
      <label>Threshold: a label counts from this score on
        <span><input type="range" data-part="live-threshold" min="0" max="1" step="0.01"
          value="{DEFAULT.threshold}"><output data-part="live-threshold-value">{DEFAULT.threshold:.2f}</output></span>
      </label>
      <label>Smoothing in seconds: more is calmer, and later
        <span><input type="range" data-part="live-smoothing" min="0" max="2" step="0.05"
          value="{DEFAULT.smoothing_seconds}"><output
          data-part="live-smoothing-value">{DEFAULT.smoothing_seconds:.2f}</output></span>
      </label>
      <label><input type="checkbox" data-part="live-overlay-on"> Label in the picture</label>
      <button type="button" data-part="live-reset">Forget what it has seen</button>
    </div>
  </details>
  <p class="as-moment as-wide">Frames go to the server of this page and nowhere else, and none is kept.</p>
</div>
"""


def build(site: Site) -> None:
    """Put the tab into the Blocks that are open."""

    def begin(where: str, address: str, threshold: float, smoothing: float, request: gr.Request) -> Any:
        try:
            settings = Settings(threshold=threshold, smoothing_seconds=smoothing)
            session = site.session(str(request.session_hash))
            return site.begin_live(session, address if where == ADDRESS else None, settings)
        except ActionstreamError as error:
            return {"error": plain(error)}

    own(PAGE)
    # the controls are those of PAGE: live.js presses the button, and says what was chosen
    start = gr.Button("Start", elem_id="live-begin", elem_classes="behind")
    where = gr.Radio([CAMERA, ADDRESS], value=CAMERA, visible=False)
    address = gr.Textbox(visible=False)
    threshold = gr.Slider(0, 1, value=DEFAULT.threshold, visible=False)
    smoothing = gr.Slider(0, 2, value=DEFAULT.smoothing_seconds, visible=False)
    ticket = gr.JSON(visible=False)
    begun = start.click(
        begin,
        [where, address, threshold, smoothing],
        ticket,
        js="() => actionstream.live.chosen()",
        show_progress="hidden",
        concurrency_limit=8,
        trigger_mode="always_last",  # a click while the last one is answered counts
    )
    begun.then(None, ticket, None, js="(ticket) => actionstream.live.start(ticket)")
