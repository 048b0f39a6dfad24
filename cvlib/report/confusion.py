"""The confusion matrix as an HTML table; a click on an error shows some of its images."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from cvlib.report import parts

MOST_CLASSES = 24  # above, the matrix is a picture


def table(folder: Path) -> str:
    """Return the matrix of the run in `folder`; empty if it has none, or if it has too many classes."""
    try:
        found = json.loads((folder / parts.FOLDER / parts.CONFUSION).read_text(encoding="utf-8"))
        classes, counts, shown = found["classes"], found["counts"], found["pictures"]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    if len(classes) > MOST_CLASSES:
        return ""
    heads = "".join(f'<th scope="col">{escape(name)}</th>' for name in classes)
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th>{_row(label, counts[label], classes, shown, folder)}</tr>'
        for label, name in enumerate(classes)
    )  # fmt: skip
    note = "<p>Rows are the true classes, columns the predicted ones. Click on a number to see its images.</p>"
    return (f'<h3>Confusion matrix</h3>{note}<div class="scroll" tabindex="0"><table class="confusion"><thead><tr>'
            f"<td>truth \\ prediction</td>{heads}</tr></thead><tbody>{rows}</tbody></table></div>")  # fmt: skip


def _row(truth: int, counts: Sequence[int], classes: Sequence[str], shown: dict[str, Any], folder: Path) -> str:
    total = max(sum(counts), 1)
    cells = []
    for prediction, count in enumerate(counts):
        shade = f"--share:{round(100 * count / total)}%"
        kind = "right" if prediction == truth else "wrong"
        name = shown.get(f"{truth},{prediction}")
        text = str(count) if count else ""
        if name and (file := folder / parts.FOLDER / name).is_file():
            text = _button(f"cell-{truth}-{prediction}", text, classes[truth], classes[prediction], file)
        cells.append(f'<td class="{kind}" style="{shade}">{text}</td>')
    return "".join(cells)


def _button(identity: str, text: str, truth: str, prediction: str, file: Path) -> str:
    images = "image" if text == "1" else "images"
    title = escape(f"{text} {images} of {truth}, predicted as {prediction}")
    return (f'<button type="button" popovertarget="{identity}" title="{title}">{text}</button>'
            f'<div popover id="{identity}"><p>{title}</p><img alt="{title}" loading="lazy" '
            f'src="{parts.embedded(file)}"></div>')  # fmt: skip
