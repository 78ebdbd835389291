"""The tab Live: labels of a camera or an address."""

from __future__ import annotations

from typing import Any

import gradio as gr

from actionstream.demos.page.hub import Settings
from actionstream.demos.page.messages import plain
from actionstream.demos.page.site import Site
from actionstream.models.common.errors import ActionstreamError

CAMERA, ADDRESS = "This device's camera", "An address"

STAGE = """
<div class="as-stage" data-part="live-stage" data-on="" data-overlay="">
  <video data-part="live-video" muted playsinline aria-label="Your camera"></video>
  <img data-part="live-picture" alt="Frames of the address">
  <p class="as-hint">Press Start. Frames go to the server of this page and nowhere else, and none is kept.</p>
  <p class="as-overlay" data-part="live-overlay" aria-hidden="true"></p>
</div>
<p class="as-message" data-part="live-message" role="status"></p>
"""

PANEL = """
<div class="as-panel">
  <p class="as-label" data-part="live-label" aria-live="polite">-</p>
  <div class="as-bars" data-part="live-bars"></div>
  <dl class="as-figures">
    <div><dt>frames/s</dt><dd data-part="live-rate">-</dd></div>
    <div><dt>latency</dt><dd data-part="live-latency">-</dd></div>
    <div><dt>dropped</dt><dd data-part="live-drops">0</dd></div>
    <div><dt>labelled</dt><dd data-part="live-labelled">0</dd></div>
    <div><dt>streams</dt><dd data-part="live-streams">0</dd></div>
  </dl>
</div>
"""

STRIP = """
<div class="as-strip">
  <canvas data-part="live-strip" role="img"
    aria-label="Scores of the last 30 seconds, a row for each class, with events marked"></canvas>
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
            gr.Warning(plain(error))
            return None

    with gr.Row():
        with gr.Column(scale=3, min_width=300):
            gr.HTML(STAGE, apply_default_css=False)
        with gr.Column(scale=2, min_width=280):
            gr.HTML(PANEL, apply_default_css=False)
    with gr.Row(elem_classes="as-controls"):
        where = gr.Radio([CAMERA, ADDRESS], value=CAMERA, label="Source", scale=2)
        address = gr.Textbox(
            label="Address", placeholder="rtsp://camera/stream", visible=False, max_lines=1, scale=2, elem_id="address"
        )
        start = gr.Button("Start", variant="primary", scale=1, min_width=100)
        stop = gr.Button("Stop", scale=1, min_width=100)
        reset = gr.Button("Reset state", scale=1, min_width=100)
    gr.HTML(STRIP)
    with gr.Row():
        threshold = gr.Slider(0, 1, value=0.6, step=0.01, label="Threshold of events")
        smoothing = gr.Slider(0, 2, value=0.3, step=0.05, label="Smoothing in seconds")
        overlay = gr.Checkbox(label="Label in the picture", value=False)

    ticket = gr.JSON(visible=False)
    where.change(lambda chosen: gr.update(visible=chosen == ADDRESS), where, address, show_progress="hidden")
    chosen = [where, address, threshold, smoothing]
    begun = gr.on(
        [start.click, address.submit],
        begin,
        chosen,
        ticket,
        show_progress="hidden",
        concurrency_limit=8,
        trigger_mode="always_last",  # a click while the last one is answered counts
        api_name=False,
    )
    begun.then(None, ticket, None, js="(ticket) => actionstream.live.start(ticket)")
    stop.click(None, None, None, js="() => actionstream.live.stop()")
    reset.click(None, None, None, js="() => actionstream.live.reset()")
    overlay.change(None, overlay, None, js="(on) => actionstream.live.overlay(on)")
    for slider in (threshold, smoothing):
        slider.input(None, [threshold, smoothing], None, js="(a, b) => actionstream.live.adjust(a, b)")
