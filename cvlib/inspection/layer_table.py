"""Output formats of the layer table: aligned text, Markdown, and numbers for CSV and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import keras

from cvlib.inspection.layers import Layer, cross, describe, total
from cvlib.viz.text_table import titled

_COLUMNS = (
    "layer", "type", "output", "ΔH", "ΔW", "ΔC", "kernel", "stride", "padding", "dilation", "parameters", "state",
    "multiply–adds", "memory", "field", "jump", "centre",
)  # fmt: skip


def records(rows: Sequence[Layer]) -> list[dict[str, Any]]:
    """Return the table as numbers, for CSV and JSON: a flat mapping per layer, with None for missing values."""
    return [_record(row) for row in rows]


def _record(row: Layer) -> dict[str, Any]:
    nothing = (None, None, None)
    found: dict[str, Any] = {"layer": row.name, "type": row.kind}
    found["shape"] = "×".join("?" if side is None else str(side) for side in row.shape)
    for name, value in zip(("height", "width", "channels"), row.change or nothing, strict=True):
        found[f"delta_{name}"] = value
    for name in ("kernel", "stride", "dilation"):
        pair = getattr(row, name) or nothing
        found[f"{name}_height"], found[f"{name}_width"] = pair[0], pair[1]
    found["padding"] = row.padding
    for name in ("parameters", "formula", "state", "multiply_adds", "activation_bytes"):
        found[name] = getattr(row, name)
    vertical, horizontal = row.fields or (None, None)
    for name in ("size", "jump", "centre"):
        for axis, field in (("y", vertical), ("x", horizontal)):
            found[f"field_{name}_{axis}"] = None if field is None else _number(getattr(field, name))
    return found


def _number(value: int | float | Fraction) -> int | float:
    return value if isinstance(value, int) else float(value)


def table(model: keras.Model) -> list[dict[str, str]]:
    """Return the table as text: one row per layer, and a row with the totals."""
    rows = describe(model)
    return [*map(_text, rows), _total_text(total(rows, model))]


def _text(row: Layer) -> dict[str, str]:
    deltas = row.change or (None, None, None)
    return {
        "layer": row.name,
        "type": row.kind,
        "output": "×".join("?" if side is None else str(side) for side in row.shape),
        **{name: "" if delta is None else f"{delta:+d}" if delta else "0"
           for name, delta in zip(("ΔH", "ΔW", "ΔC"), deltas, strict=True)},
        "kernel": cross(row.kernel),
        "stride": cross(row.stride),
        "padding": row.padding or "",
        "dilation": cross(row.dilation),
        "parameters": f"{row.parameters:,}" if row.state else "",
        "state": row.state,
        "multiply–adds": f"{row.multiply_adds:,}" if row.multiply_adds else "",
        "memory": _memory(row.activation_bytes),
        "field": "?" if row.fields is None else cross([field.size for field in row.fields]),
        "jump": cross([float(field.jump) for field in row.fields]) if row.fields and row.fields[0].shift else "",
        "centre": ", ".join(f"{field.centre:g}" for field in row.fields) if row.fields else "",
    }  # fmt: skip


def _total_text(whole: dict[str, int]) -> dict[str, str]:
    blank = dict.fromkeys(_COLUMNS, "")
    state = f"{whole['trainable']:,} trainable, {whole['frozen']:,} frozen"
    if whole["averages"]:
        state += f", {whole['averages']:,} BatchNorm averages"
    return blank | {
        "layer": "total", "parameters": f"{whole['parameters']:,}", "state": state,
        "multiply–adds": f"{whole['multiply_adds']:,}", "memory": _memory(whole["activation_bytes"]),
    }  # fmt: skip


def lines(rows: Sequence[dict[str, str]]) -> list[str]:
    """Return rows with the same keys as aligned lines under a header; the last row, the totals, becomes a sentence."""
    *body, totals = rows
    left = [index for index, name in enumerate(body[0]) if name in ("layer", "type", "state", "padding")]
    sentence = (f"total: {totals['parameters']} parameters ({totals['state']}), {totals['multiply–adds'] or 0} "
                f"multiply–adds and {totals['memory']} of activations per image")  # fmt: skip
    return [*titled(body, left), sentence]


def _memory(count: int) -> str:
    for unit, size in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} B"


def as_json(rows: Sequence[Layer], model: keras.Model, warnings: Sequence[str]) -> dict[str, Any]:
    """Return everything that `cvlib inspect` shows, in a form that JSON can store."""
    return {"layers": records(rows), "total": total(rows, model), "warnings": list(warnings)}
