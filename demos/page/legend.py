"""The line above a strip: its title, and what its colours mean."""

from __future__ import annotations

from html import escape


def legend(title: str, mark: str, *, part: str = "") -> str:
    """The legend of a strip whose bars are called `mark`.

    part  the name of the title, where the script writes it
    """
    named = f' data-part="{part}"' if part else ""
    return (
        f'<p class="as-legend"><strong{named}>{escape(title)}</strong>'
        '<span>score 0 <span class="as-ramp"></span> 1</span>'
        f'<span><span class="as-dash"></span> {escape(mark)}</span>'
        '<span class="as-legend-quiet"><span class="as-ramp as-pale"></span> nothing happens</span></p>'
    )
