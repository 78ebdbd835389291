"""Messages of the page."""

from __future__ import annotations

from html import escape


def plain(error: Exception) -> str:
    """An error as one line."""
    return " ".join(str(error).split())


def failure(error: Exception) -> str:
    """An error as HTML, to stand where the visitor looks."""
    return f'<p class="as-error" role="alert">{escape(plain(error))}</p>'


def notice(text: str) -> str:
    """A message as HTML."""
    return f'<p class="as-message" role="status">{escape(text)}</p>'


def progress(what: str = "", done: float = 0.0, of: float = 0.0) -> str:
    """A progress bar as HTML; empty without arguments."""
    share = min(1.0, done / of) if of > 0 else 0.0
    bar = f'<div class="as-track"><span class="as-fill" style="transform: scaleX({share:.3f})"></span></div>'
    told = f"{escape(what)} {share:.0%}{bar}" if of > 0 else escape(what)
    return f'<div class="as-panel as-progress" role="status">{told}</div>'
