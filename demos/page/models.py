"""The tab Models: the catalogue, and the upload of checkpoints."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Any

import gradio as gr

from actionstream.demos.page.messages import plain
from actionstream.demos.page.site import CHECKPOINT_SUFFIXES, Site
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.networks.costs import COLUMNS, read_table

SEARCH = """
<label class="as-search">Search <input type="search" data-part="models-search" autocomplete="off"
  oninput="actionstream.search(this.value)"></label>
"""


def build(site: Site) -> None:
    """Put the tab into the Blocks that are open."""

    def take(upload: dict[str, Any] | None, request: gr.Request) -> tuple[Any, Any]:
        if upload is None:
            return None, gr.update()
        try:
            session = site.session(str(request.session_hash))
            name = site.take_checkpoint(session, str(upload.get("path", "")))
        except (ActionstreamError, OSError) as error:
            gr.Warning(plain(error))
            return None, gr.update()
        return None, gr.update(choices=list(site.models(session)), value=name)

    def choose(name: str, request: gr.Request) -> None:
        try:
            session = site.session(str(request.session_hash))
            session.model = site.find_model(session, name)
            gr.Info(f"Live and Video use {escape(name)} from their next start on")
        except ActionstreamError as error:
            gr.Warning(plain(error))

    with gr.Row(elem_classes="as-controls"):
        chosen = gr.Dropdown(list(site.models()), value=site.model.name, label="Model of Live and Video", min_width=200)
        types = list(CHECKPOINT_SUFFIXES)
        upload = gr.File(label="A checkpoint of your own (.safetensors)", file_types=types, height=120)
    upload.upload(take, upload, [upload, chosen], preprocess=False, show_progress="hidden")
    chosen.change(choose, chosen, None, show_progress="hidden", concurrency_limit=2)
    gr.HTML(SEARCH + _table(), apply_default_css=False)


def _table() -> str:
    body = "".join(f"<tr>{_cells('td', row.cells)}</tr>" for row in read_table())
    return (
        f'<div class="as-table as-catalogue"><table><thead><tr>{_cells("th", COLUMNS)}</tr></thead>'
        f'<tbody data-part="models-rows">{body}</tbody></table></div>'
    )


def _cells(tag: str, texts: Iterable[str]) -> str:
    return "".join(f"<{tag}>{escape(text)}</{tag}>" for text in texts)
