"""The tab Compare: two models or runtimes on the same video, frame by frame."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from actionstream.choices import RuntimeName
from actionstream.demos.page.answers import describe, quiet_classes
from actionstream.demos.page.legend import legend
from actionstream.demos.page.markup import own
from actionstream.demos.page.messages import failure, progress
from actionstream.demos.page.sessions import Session
from actionstream.demos.page.site import Site
from actionstream.engine.engine import Engine
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.locate import Located
from actionstream.models.network import Network
from actionstream.models.weights.loading import load
from actionstream.models.window import Window
from actionstream.runtimes.exported_file import PACKAGES
from actionstream.sources import SAMPLE
from actionstream.sources.video import FileSource

FIRST, SECOND = "motion-tsn", "motion"
MAX_SECONDS = 60.0
"""The most of the video that is compared, to keep the wait short."""
TOLD_EVERY = 15
THE_SAMPLE, THE_VIDEO = "The sample", "The video from the Video tab"

INTRODUCTION = """
<p class="as-intro">Two models, or one model with two runtimes, label the same video frame by frame.
  <code>motion-tsn</code> looks at each frame alone; <code>motion</code> is the same network with a memory.
  <span class="as-moment">At most the first minute is used.</span></p>
"""


def _side(which: str) -> str:
    """The strip of a model, below its name and figures."""
    return f"""
  <div class="as-strip">{legend(f"The {which} model", "detected", part=f"compare-{which}")}
    <p class="as-moment" data-part="compare-figures-{which}"></p>
    <canvas data-part="compare-strip-{which}" role="img" aria-label="Scores of the {which} model"></canvas></div>
"""


SIDES = f"""
<div class="as-video" data-part="compare-result" hidden>{_side("first")}{_side("second")}</div>
"""


def build(site: Site) -> None:
    """Put the tab into the Blocks that are open."""

    def compare(
        first: str,
        first_runtime: RuntimeName,
        second: str,
        second_runtime: RuntimeName,
        which: str,
        request: gr.Request,
    ) -> Iterator[tuple[Any, Any]]:
        try:
            session = site.session(str(request.session_hash))
            path = _video(session, which)
            sides = []
            for name, runtime in ((first, first_runtime), (second, second_runtime)):
                yield progress(f"Opening {name} for {runtime}"), None
                if runtime != "torch" and name in session.checkpoints:
                    raise ActionstreamError(
                        f"{name} was uploaded: choose torch, since uploads are not exported or compiled here"
                    )
                for side in _run(site.find_model(session, name), path, runtime=runtime, device=site.device):
                    if isinstance(side, float):
                        yield progress(name, side, 1.0), None
                    else:
                        sides.append(side)
            yield progress(), {"sides": sides}
        except (ActionstreamError, OSError) as error:
            yield failure(error), None

    own(INTRODUCTION)
    with gr.Row(elem_classes="page-controls"):
        names = list(site.models())
        first = gr.Dropdown(names, value=FIRST, label="First model", min_width=140)
        second = gr.Dropdown(names, value=SECOND, label="Second model", min_width=140)
        which = gr.Radio([THE_SAMPLE, THE_VIDEO], value=THE_SAMPLE, label="Video", min_width=200, scale=2)
        go = gr.Button("Compare", variant="primary", min_width=120)
    with gr.Accordion("Runtimes", open=False), gr.Row():
        first_runtime = gr.Dropdown(runtimes(), value="torch", label="The first model runs with")
        second_runtime = gr.Dropdown(runtimes(), value="torch", label="The second model runs with")
    told = own(progress())
    own(SIDES)
    found = gr.JSON(visible=False)
    chosen = [first, first_runtime, second, second_runtime, which]
    done = go.click(compare, chosen, [told, found], show_progress="hidden", concurrency_limit=1)
    done.then(None, found, None, js="(found) => actionstream.compare.show(found)")

    def look_again(request: gr.Request) -> tuple[Any, Any]:
        names = list(site.models(site.session(str(request.session_hash))))
        return gr.update(choices=names), gr.update(choices=names)

    for dropdown in (first, second):
        dropdown.focus(look_again, None, [first, second], show_progress="hidden")


def _video(session: Session, which: str) -> Path:
    if which == THE_SAMPLE:
        return SAMPLE
    if session.clip is None:
        raise ActionstreamError("there is no video in the tab Video yet; choose one there")
    return session.clip.path


def runtimes() -> list[str]:
    """The runtimes that are installed here, the reference first."""
    exported = [name for name in ("onnx", "openvino") if find_spec(PACKAGES[name])]
    return ["torch", "compile", *exported]


def _run(model: Located, path: Path, *, runtime: RuntimeName, device: str) -> Iterator[float | dict[str, Any]]:
    """Yield the share that is done, and at the end the result of one model for the page."""
    network, card = load(model)
    engine = Engine(model, runtime=runtime, device=device)
    stream = engine.open()
    rows, spent = [], []
    with closing(FileSource(str(path), uploaded=True)) as source:
        seconds = min(source.seconds or MAX_SECONDS, MAX_SECONDS)
        for frame in source:
            if frame.time_seconds > MAX_SECONDS:
                break
            prediction = engine.push(stream, frame.picture, frame.time_seconds)
            if prediction is None:
                continue
            spent.append(prediction.split_ms["model"])
            if prediction.frames_since_reset > card.context:
                rows.append(describe(prediction))
            if len(spent) % TOLD_EVERY == 0:
                yield frame.time_seconds / seconds
    if not rows:
        raise ActionstreamError(f"the video is too short for {model}")
    weights = sum(parameter.nbytes for parameter in network.parameters())
    yield {
        "name": f"{model} ({runtime})",
        "figures": f"{np.median(spent):.1f} ms a frame, {weights / 1e6:.1f} MB of weights, "
        f"{state_bytes(network, card) / 1000:.0f} kB of state",
        "labels": card.labels,
        "quiet": quiet_classes(card.labels),
        "interval": card.interval_seconds,
        "duration": rows[-1]["time"] + card.interval_seconds,
        "rows": rows,
    }


def state_bytes(network: Network, card: Any) -> int:
    """The bytes of the state of one stream."""
    live = network if network.streams else Window(network, num_frames=card.num_frames, stride=card.stride)
    return live.state_bytes(card.preprocessing.height, card.preprocessing.width)
