"""The tab Models: those that can be used here, a checkpoint of one's own, and the catalogue to read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import gradio as gr

from actionstream.demos.page.markup import own
from actionstream.demos.page.messages import failure, notice
from actionstream.demos.page.site import CHECKPOINT_SUFFIXES, Site
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.locate import Located
from actionstream.models.networks.costs import COLUMNS, read_table
from actionstream.models.published import PUBLISHED
from actionstream.models.weights.checkpoint import read_card

SHOWN_LABELS = 5
USABLE = ("model", "network", "labels")

READABLE = """
<h2>Networks to read about</h2>
<p class="as-intro">Networks of the catalogue, without weights: <code>actionstream train</code> trains one, and
  <code>actionstream convert</code> takes the weights of other projects. Multiply-adds count one clip, and
  <em>live, a frame</em> one frame of a stream.</p>
<p class="as-search"><label>Search <input type="search" data-part="models-search" autocomplete="off"
  placeholder="tsm, mobilenet, 3d" oninput="actionstream.search(this.value)"></label>
  <span data-part="models-found" role="status">{} networks</span></p>
"""


def build(site: Site) -> None:
    """Put the tab into the Blocks that are open."""

    def take(upload: dict[str, Any] | None, request: gr.Request) -> tuple[Any, Any, Any]:
        if upload is None:
            return None, gr.update(), gr.update()
        try:
            session = site.session(str(request.session_hash))
            name = site.take_checkpoint(session, str(upload.get("path", "")))
        except (ActionstreamError, OSError) as error:
            return None, gr.update(), failure(error)
        return None, gr.update(choices=list(site.models(session)), value=name), gr.update()

    def choose(name: str, request: gr.Request) -> str:
        try:
            session = site.session(str(request.session_hash))
            session.model = site.find_model(session, name)
        except ActionstreamError as error:
            return failure(error)
        return notice(f"Live and Video use {name} from their next start on")

    own("<h2>Ready to use</h2>" + _usable(site))
    with gr.Row(elem_classes="page-controls"):
        chosen = gr.Dropdown(list(site.models()), value=site.model.name, label="Model of Live and Video", min_width=200)
        types = list(CHECKPOINT_SUFFIXES)
        upload = gr.File(
            label="A checkpoint of your own (.safetensors)", file_types=types, height=84, elem_id="models-upload"
        )
    told = own()
    upload.upload(take, upload, [upload, chosen, told], preprocess=False, show_progress="hidden")
    chosen.change(choose, chosen, told, show_progress="hidden", concurrency_limit=2)
    rows = [row.cells for row in read_table()]
    own(
        READABLE.format(len(rows))
        + _table(COLUMNS, rows, label="Networks", more='data-part="models-table"', body="models-rows")
    )


def _usable(site: Site) -> str:
    """The table of the models that can be chosen."""
    rows = [(model.name, *_about(site, model)) for model in site.models().values()]
    return _table(USABLE, rows, label="Models to use")


def _about(site: Site, model: Located) -> tuple[str, str]:
    """The network and the labels of a model."""
    if model.kind == "published":
        return PUBLISHED[model.name].network, PUBLISHED[model.name].labels
    is_open = model == site.model
    card = site.hub(model).engine.card if is_open else read_card(model)
    first = ", ".join(card.labels[:SHOWN_LABELS])
    return card.network, f"{len(card.labels)}: {first}" + (", …" if len(card.labels) > SHOWN_LABELS else "")


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, label: str, more: str = "", body: str = "") -> str:
    """A table; on a phone each row is a card, whose cells say what they are."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in columns)
    filled = "".join(
        "<tr>"
        + "".join(
            f'<td data-label="{escape(name)}">{escape(cell)}</td>' for name, cell in zip(columns, row, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    part = f' data-part="{body}"' if body else ""
    return (
        f'<div class="as-table as-cards" tabindex="0" role="region" aria-label="{escape(label)}" {more}><table>'
        f"<thead><tr>{head}</tr></thead><tbody{part}>{filled}</tbody></table></div>"
    )
