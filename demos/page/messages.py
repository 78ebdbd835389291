"""Messages of the page."""

from __future__ import annotations

from html import escape


def plain(error: Exception) -> str:
    """An error as one line, escaped, because gradio shows messages as HTML."""
    return escape(" ".join(str(error).split()))


def progress(what: str = "", done: float = 0.0, of: float = 0.0) -> str:
    """A progress bar as HTML; empty without arguments."""
    share = min(1.0, done / of) if of > 0 else 0.0
    bar = f'<div class="as-track"><span class="as-fill" style="transform: scaleX({share:.3f})"></span></div>'
    told = f"{escape(what)} {share:.0%}{bar}" if of > 0 else escape(what)
    return f'<div class="as-panel as-progress" role="status">{told}</div>'
