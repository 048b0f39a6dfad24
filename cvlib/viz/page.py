"""A self-contained HTML page: the style sheet and the script are inside, and nothing is loaded."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

_HERE = Path(__file__).parent


def whole(title: str, body: Iterable[str]) -> str:
    """Return a page whose body consists of the given HTML parts; empty parts are left out."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{escape(title)}</title><style>\n{_text('page.css')}</style></head>\n<body>\n"
        + "\n".join(part for part in body if part)
        + f"\n<script>\n{_text('page.js')}</script>\n</body></html>\n"
    )  # fmt: skip


def embedded(image: Image, most_bytes: int) -> str:
    """Return a picture as a data URL of a WebP file of at most `most_bytes`; a larger one is made smaller."""
    while len(content := _webp(image)) > most_bytes:
        image = image.resize((max(image.width * 3 // 4, 1), max(image.height * 3 // 4, 1)))
    return f"data:image/webp;base64,{base64.b64encode(content).decode()}"


def _webp(image: Image) -> bytes:
    content = io.BytesIO()
    image.save(content, "WEBP", quality=75)
    return content.getvalue()


def _text(name: str) -> str:
    """Return the text of a file beside this one."""
    return (_HERE / name).read_text(encoding="utf-8")
