"""The page: its tabs and its theme."""

from __future__ import annotations

import gradio as gr

from actionstream.demos.page import annotate, compare, live, models, teach, video
from actionstream.demos.page.markup import own
from actionstream.demos.page.site import Site

TITLE = """
<header class="as-head">
  <h1>actionstream</h1><p>Says what happens in a video, frame by frame, while it happens.</p>
</header>
"""
SYSTEM_FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "sans-serif")


def build(site: Site) -> gr.Blocks:
    with gr.Blocks(title="actionstream", analytics_enabled=False) as blocks:
        own(TITLE)
        with gr.Tabs(selected=annotate.TAB if site.project else None):
            with gr.Tab("Live"):
                live.build(site)
            with gr.Tab("Teach"):
                teach.build(site)
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
        # gradio's own shades of these have too little contrast for WCAG AA
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_400",
        block_label_text_color="*neutral_600",
        block_label_text_color_dark="*neutral_300",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover_dark="*primary_800",
        input_placeholder_color="*neutral_500",
        input_placeholder_color_dark="*neutral_400",
        button_large_text_weight="550",
    )
