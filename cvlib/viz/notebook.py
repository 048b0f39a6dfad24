"""Parts of the HTML views that notebooks show for runs, evaluations and datasets. A view stays below 200 kB."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from cvlib.viz import page

_MAX_ROWS = 40
_MAX_PICTURE = 60_000  # bytes of a picture's file
_STYLE = """<style>
.cvlib { --c0: #0072b2; --ink: currentColor; --soft: #777; --rule: #8886; --page: transparent; font-size: 13px; }
.cvlib td, .cvlib th { padding: 1px 8px; text-align: right; } .cvlib td:first-child { text-align: left; }
.cvlib svg { max-width: 480px; font-size: 11px; fill: currentColor; } .cvlib svg path { fill: none; stroke-width: 2; }
.cvlib svg .grid { stroke: var(--rule); stroke-width: 1; } .cvlib svg .tick { stroke: var(--soft); stroke-width: 1; }
.cvlib svg .line { stroke: var(--c0); } .cvlib svg .mark { fill: var(--c0); }
.cvlib img { max-width: 100%; }
</style>"""


def view(title: str, *parts: str) -> str:
    """Return a view with a title; empty parts are left out."""
    return f'{_STYLE}<div class="cvlib"><b>{escape(title)}</b>{"".join(part for part in parts if part)}</div>'


def table(rows: Sequence[Mapping[str, object]]) -> str:
    """Return rows with the same keys as a table; at most 40 rows, and a line with the number of the others."""
    if not rows:
        return ""
    head = "".join(f"<th>{escape(name)}</th>" for name in rows[0])
    body = "".join("<tr>" + "".join(f"<td>{escape(_text(value))}</td>" for value in row.values()) + "</tr>"
                   for row in rows[:_MAX_ROWS])  # fmt: skip
    more = f"<div>and {len(rows) - _MAX_ROWS} more rows</div>" if len(rows) > _MAX_ROWS else ""
    return f"<table><tr>{head}</tr>{body}</table>{more}"


def picture(pixels: np.ndarray, alt: str) -> str:
    """Return a picture, uint8 `(height, width, 3)`, as an image of at most 60 kB; a larger one is made smaller."""
    from PIL import Image

    return f'<div><img alt="{escape(alt)}" src="{page.embedded(Image.fromarray(pixels), _MAX_PICTURE)}"></div>'


def _text(value: object) -> str:
    return "–" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)
