"""The page: its tabs and its theme."""

from __future__ import annotations

import gradio as gr

from actionstream.demos.page import annotate, compare, live, models, teach, video
from actionstream.demos.page.site import Site

TITLE = """
<header class="as-head">
  <h1>actionstream</h1><p>Frames come in one at a time; after each one, labels go out.</p>
</header>
"""
SYSTEM_FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "sans-serif")


def build(site: Site) -> gr.Blocks:
    with gr.Blocks(title="actionstream", analytics_enabled=False) as blocks:
        gr.HTML(TITLE)
        with gr.Tabs(selected=annotate.TAB if site.project else None):
            with gr.Tab("Live"):
                live.build(site)
            with gr.Tab("Teach") as tab:
                teach.build(site, tab)
            with gr.Tab("Video"):
                video.build(site)
            with gr.Tab("Annotate", id=annotate.TAB):
                annotate.build(site)
            with gr.Tab("Compare"):
                compare.build(site)
            with gr.Tab("Models"):
                models.build(site)

        blocks.unload(lambda: None)  # without it, gradio's script keeps no heartbeat connection open
    return blocks


def theme() -> gr.Theme:
    """The theme: quiet colours, and system fonts only."""
    base = gr.themes.Base(
        primary_hue="blue",
        neutral_hue="slate",
        radius_size="lg",
        font=SYSTEM_FONTS,
        font_mono=("ui-monospace", "monospace"),
    )
    return base.set(
        block_label_background_fill="transparent",
        block_title_text_weight="500",
        block_title_text_color="*body_text_color_subdued",
        button_large_text_weight="550",
    )
