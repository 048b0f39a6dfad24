"""The generated page of the studies, as a hook of MkDocs: question, chart, verdict, table and commands of each study.

Everything is read from `experiments/NAME.yaml` and the result in `experiments/NAME.md`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from cvlib.viz import axes

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
_ABOUT = (
    "Each study asks one question. Its chart shows the metric of each group on the test split, with its 95 % interval "
    "if there are several seeds. Its commands repeat it. `data.path` may be another place on your disk."
)
_WIDTH, _ROW, _CHARACTER = 640, 24, 6.5  # pixels
_LONGEST = 55  # characters of a label


@dataclass(frozen=True)
class Row:
    """One group of a study: the mean metric and its interval in the table's unit."""

    label: str
    value: float
    low: float | None
    high: float | None


def page() -> str:
    """Return the page of all studies that have a result."""
    lines = ["# Studies", "", _ABOUT, ""]
    for path in sorted(EXPERIMENTS.glob("*.md")):
        if path.with_suffix(".yaml").is_file():
            lines += study(path.stem)
    return "\n".join(lines)


def study(name: str) -> list[str]:
    """Return the section of one study as Markdown."""
    config = (EXPERIMENTS / f"{name}.yaml").read_text(encoding="utf-8")
    text = (EXPERIMENTS / f"{name}.md").read_text(encoding="utf-8")
    preface, title, result = re.fullmatch(r"(.*?)### (.*?)\n(.*)", text, re.DOTALL).groups()  # type: ignore[union-attr]
    body = result.strip().split("\n\n")
    verdict = next((part for part in body if part.startswith("- ") and not part.startswith("- warning")), "")
    rest = [part for part in body if part not in (verdict, body[0])]
    verdict = verdict.replace("- #", r"- \#")  # Python-Markdown would make "#1 beats …" a heading
    more = [f"    {line}" if line else "" for line in "\n\n".join(rest).splitlines()]
    return [
        *(f"## {name}", "", f"*{question(config)}*", "", chart(title, rows(body[0])), "", verdict, ""),
        *(preface.strip(), "", f"{title}:", "", body[0], "", '??? note "Tests and remarks"', "", *more, ""),
        *("Repeat it:", "", "```bash", *commands(config), "```", ""),
    ]


def question(config: str) -> str:
    """Return what the study asks, the first paragraph of its file."""
    found = re.search(r"# Question: (.*?)\n(?:#\n|(?!#))", config, re.DOTALL)
    words = " ".join(re.sub(r"\n# ?", " ", found[1]).split()) if found else ""
    return words[:1].upper() + words[1:]


def commands(config: str) -> list[str]:
    """Return the commands in the comments of the study's file."""
    joined = re.sub(r" \\\n# *", " ", config)
    return re.findall(r"^#   ((?:python run\.py|cvlib) .*)$", joined, re.MULTILINE)


def rows(table: str) -> list[Row]:
    """Return the groups of a result's first table."""
    header, _, *lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    metric = next(place for place, name in enumerate(header) if name.startswith("test/"))
    settings = [place for place, name in enumerate(header[:metric]) if name not in ("group", "run", "seeds")]
    found = []
    for cells in lines:
        interval = cells[header.index("95 % CI")].split(" – ") if "95 % CI" in header else []
        low, high = map(float, interval) if len(interval) == 2 else (None, None)
        chosen = [place for place in settings if cells[place] != "null"]  # null: the setting doesn't apply, or is off
        label = ", ".join(f"{header[place].split('.')[-1]} {cells[place]}" for place in chosen) or cells[0]
        if len(label) > _LONGEST:  # the table below has all settings
            number = f"{cells[0]} " if header[0] == "group" else ""
            label = f"{number}{label}"[: _LONGEST - 1] + "…"
        found.append(Row(label, float(cells[metric].split()[0]), low, high))
    return found


def chart(title: str, groups: list[Row]) -> str:
    """Return an SVG of the groups' metric with intervals, in the colours of the page."""
    ends = [end for row in groups for end in (row.value, row.low, row.high) if end is not None]
    low, high = min(ends), max(ends)
    room = 0.05 * (high - low) or 1.0
    height = _ROW * len(groups) + 34
    left = 24 + _CHARACTER * max(len(row.label) for row in groups)
    place = axes.Axis("", low - room, high + room).over(left, _WIDTH - 16)
    parts = [*_ticks(low - room, high + room, place, height)]
    for number, row in enumerate(groups):
        y = _ROW * number + 16
        parts.append(f'<text x="{left - 12:.0f}" y="{y + 4}" text-anchor="end">{escape(row.label)}</text>')
        if row.low is not None and row.high is not None:
            parts.append(f'<path class="interval" d="M{place(row.low):.1f} {y}H{place(row.high):.1f}"/>')
        parts.append(f'<circle cx="{place(row.value):.1f}" cy="{y}" r="4.5"><title>{row.value:g}</title></circle>')
    label = escape(title.split(": ")[0])
    return f'<svg class="study" viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{label}">{"".join(parts)}</svg>'


def _ticks(low: float, high: float, place: Any, height: int) -> Iterator[str]:
    for value in axes.marks(low, high, 6):
        x = f"{place(value):.1f}"
        yield f'<path class="rule" d="M{x} 0V{height - 20}"/><text x="{x}" y="{height - 4}" text-anchor="middle">'
        yield f"{value:g} %</text>"


def on_files(files: Any, config: Any) -> Any:
    """Add the page to the site."""
    from mkdocs.structure.files import File

    files.append(File.generated(config, "studies.md", content=page()))
    return files
