"""Our own markup in the page: gradio adds no style and no space of its own to it."""

from __future__ import annotations

import gradio as gr


def own(markup: str = "") -> gr.HTML:
    """An element of the page with this HTML; what is in it has classes that begin with as-."""
    return gr.HTML(markup, apply_default_css=False, padding=False)
