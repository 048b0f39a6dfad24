"""The notebook of the tutorials, as a hook of MkDocs and as a command.

`python docs/hooks/notebook.py` runs the cells of `experiments/notebook.py` and writes `docs/tutorials/notebook.ipynb`
with their outputs (about a minute). The hook shows that file as a page. A test compares its cells with the script,
which another test runs.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "experiments/notebook.py"
NOTEBOOK = ROOT / "docs/tutorials/notebook.ipynb"
_ABOUT = (
    "[Download this notebook](notebook.ipynb){ download }, or open `experiments/notebook.py` in an editor that "
    "supports `# %%`."
)
_LONGEST = 40  # lines of an output on the page


def cells(script: str) -> list[tuple[str, str]]:
    """Return the cells of a script with `# %%` marks as (markdown | code, text); a cell's title becomes Markdown."""
    found = []
    for part in re.split(r"^# %%", script, flags=re.MULTILINE)[1:]:
        title, _, body = part.partition("\n")
        if title.strip() == "[markdown]":
            found.append(("markdown", re.sub(r"^# ?", "", body, flags=re.MULTILINE).strip()))
            continue
        found += [("markdown", title.strip()), ("code", body.replace("  # noqa: E402", "").strip())]
    return found


def executed(found: list[tuple[str, str]]) -> list[dict[str, Any]]:
    """Run the code cells in one namespace and return all cells in the notebook's form, with what they print."""
    scope: dict[str, Any] = {}
    written = []
    for number, (kind, text) in enumerate(found):
        cell: dict[str, Any] = {"cell_type": kind, "id": f"cell{number}", "metadata": {},
                                "source": text.splitlines(keepends=True)}  # fmt: skip
        if kind == "code":
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(compile(text, str(SCRIPT), "exec"), scope)
            shown = printed.getvalue().replace(str(Path.cwd()) + os.sep, "")
            stream = {"output_type": "stream", "name": "stdout", "text": shown.splitlines(keepends=True)}
            cell |= {"execution_count": None, "outputs": [stream] if shown else []}
        written.append(cell)
    return written


def page() -> str:
    """Return the notebook as Markdown."""
    lines = ["# In a notebook", "", _ABOUT, ""]
    for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            lines += [text, ""]
            continue
        lines += ["```python", text, "```", ""]
        for output in cell["outputs"]:
            shown = "".join(output["text"]).splitlines()
            cut = ["…"] if len(shown) > _LONGEST else []
            lines += ["```text", *shown[:_LONGEST], *cut, "```", ""]
    return "\n".join(lines)


def on_files(files: Any, config: Any) -> Any:
    """Add the page to the site."""
    from mkdocs.structure.files import File

    files.append(File.generated(config, "tutorials/notebook.md", content=page()))
    return files


def main() -> None:
    """Run the script's cells and write the notebook."""
    sys.path.insert(0, str(ROOT))
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        found = executed(cells(SCRIPT.read_text(encoding="utf-8")))
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    notebook = {"cells": found, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}
    NOTEBOOK.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
