"""Sections as tables: plain numbers for programs (CSV), formatted text for people (terminal, Markdown, HTML)."""

from __future__ import annotations

import csv
import io
import math
from typing import Any

import numpy as np

from cvlib.compare import benchmarks, names, robustness, splits, statistics
from cvlib.compare.groups import FRACTION, Group, Section, plain
from cvlib.compare.runs import Samples, sample_values
from cvlib.compare.verdict import Comparison, same_test, scaling
from cvlib.runs.metric_specs import MetricSpec
from cvlib.runtime.clock import duration

Row = dict[str, str]
_SAME_MEAN = 1e-4  # the rounding in test_results.csv changes a mean by at most this
_LONGEST_RUN = 60  # characters of a run's name; a timestamp takes 26


def record(section: Section, group: Group, comparison: Comparison | None) -> dict[str, Any]:
    """Return a group's row as plain numbers: metrics as recorded, seconds, megabytes; None for unknown values."""
    runs, metric, val = group.runs, section.metric, validation_metric(section.metric)
    mean, deviation, low, high = statistics.interval(group.values(metric), section.spec.low, section.spec.high)
    if (found := _by_sample(group, metric)) is not None:
        low, high = _interval_of(found, section.spec)
    row: dict[str, Any] = {"group": group.described, "section": section.title, **group.settings}
    row |= {
        "run": runs[0].name if len(runs) == 1 else "", "seeds": len(runs), "metric": metric,
        "mean": mean, "deviation": deviation, "ci95_low": low, "ci95_high": high, "best_metric": val,
        "best": average([run.metric(val) for run in runs]),
        "best_epoch": average([run.number("best_epoch") for run in runs]),
        "last": average([run.metric(val, last=True) for run in runs]),
        "last_epoch": average([run.number("epochs") for run in runs]),
        "parameters": average([run.number("parameters", "total") for run in runs]),
        "trainable": average([run.number("parameters", "trainable") for run in runs]),
        "train_seconds": average([run.number("timing", "train") for run in runs]),
        "peak_memory_mb": average([run.number("peak_memory_mb") for run in runs]),
    }  # fmt: skip
    row |= benchmarks.columns(group) | robustness.columns(group, metric)
    return row | (_compared(comparison) if comparison else {})


def _by_sample(group: Group, metric: str) -> list[Samples] | None:
    """Return the test samples of each run; None if they are unknown or their mean isn't the metric."""
    found = [known for run in group.runs if (known := sample_values(run, metric)) is not None]
    if len(found) < len(group.runs):
        return None
    means = [np.mean(values) for _, values in found]
    return found if np.allclose(means, group.values(metric), atol=_SAME_MEAN) else None


def _interval_of(found: list[Samples], spec: MetricSpec) -> tuple[float, float]:
    """Return the interval over seeds that share their test samples, or over splits."""
    tested, values = [names for names, _ in found], [np.array(values) for _, values in found]
    if len(set(tested)) == 1:
        return statistics.group_interval(np.array(values), spec.low, spec.high)
    return splits.group_interval(values, tested, spec.low, spec.high)


def _compared(one: Comparison) -> dict[str, Any]:
    estimate = one.estimate
    return {
        "behind": estimate.difference, "behind_error": estimate.error, "behind_low": estimate.low,
        "behind_high": estimate.high, "about": one.about, "leader_better_on": one.wins,
        "leader_worse_on": one.losses, "test": one.test, "p_networks": one.p_networks, "p": estimate.p,
        "p_holm": one.corrected,
    }  # fmt: skip


def validation_metric(metric: str) -> str:
    """Return the name of the metric that is recorded every epoch: test/accuracy → val/accuracy."""
    return metric if metric.startswith("train/") else "val/" + metric.split("/", 1)[-1]


def csv_text(sections: list[Section], comparisons: list[list[Comparison]]) -> str:
    """Return one CSV table of all sections in full precision."""
    rows = [row for section, compared in zip(sections, comparisons, strict=True) for row in records(section, compared)]
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _csv_cell(value) for key, value in row.items()} for row in rows)
    return text.getvalue()


def records(section: Section, comparisons: list[Comparison]) -> list[dict[str, Any]]:
    """Return every group's row as plain numbers."""
    by_group = {id(one.other): one for one in comparisons}
    return [record(section, group, by_group.get(id(group))) for group in section.groups]


def _csv_cell(value: Any) -> Any:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return plain(value) if isinstance(value, (tuple, bool)) else value


def display(section: Section, comparisons: list[Comparison]) -> list[Row]:
    """Return every group's row as formatted text, without columns that are empty in all rows."""
    runs = names.shortened((group.runs[0].name for group in section.groups), _LONGEST_RUN)
    rows = []
    for group, row in zip(section.groups, records(section, comparisons), strict=True):
        named = {"group": group.label} if group.numbered or not (section.by_run or section.keys) else {}
        run = {"run": runs[group.runs[0].name]} if section.by_run else {}
        rows.append(
            {**named, **run, **{heading(key): word for key, word in group.words.items()}, **_results(section, row)}
        )
    filled = [column for column in (rows[0] if rows else {}) if any(row[column] for row in rows)]
    return [{column: row[column] or "–" for column in filled} for row in rows]


def _results(section: Section, row: dict[str, Any]) -> Row:
    metric, spec, val = section.metric, section.spec, row["best_metric"]
    shown: Row = {} if section.by_run else {"seeds": str(row["seeds"])}
    unit = " %" if spec.in_percent else ""
    shown[metric + unit] = with_error(row["mean"], row["deviation"], spec)
    shown["95 % CI"] = span(row["ci95_low"], row["ci95_high"], spec)
    shown[f"best {val}{unit} (epoch)"] = _at_epoch(row["best"], row["best_epoch"], spec)
    shown["last (epoch)"] = _at_epoch(row["last"], row["last_epoch"], spec)
    shown["parameters"] = _parameters(row["parameters"], row["trainable"])
    seconds = row["train_seconds"]
    shown["training"] = "" if seconds is None else duration(seconds)
    shown["memory"] = memory(row["peak_memory_mb"])
    corrupted = row.get(robustness.MEAN)
    shown[f"under corruption{unit}"] = "" if corrupted is None else _beside_clean(corrupted, row, spec)
    for form in benchmarks.formats(section.runs):
        latency = row.get(f"{benchmarks.LATENCY}/{form}")
        shown[f"latency ({form})"] = "" if latency is None else f"{latency:.3g} ms"
    return shown


def _beside_clean(corrupted: float, row: dict[str, Any], spec: MetricSpec) -> str:
    """Return the mean under corruption and, if known, the metric of the same images without corruption."""
    clean = row.get(robustness.CLEAN)
    return amount(corrupted, spec) + ("" if clean is None else f" of {amount(clean, spec)}")


def heading(key: str) -> str:
    """Return the heading of a setting's column."""
    return key.removesuffix(".name")


def comparison_rows(section: Section, comparisons: list[Comparison]) -> list[Row]:
    """Return a row of formatted text for each comparison of a leader with another group."""
    rows, one_leader = [], len({id(one.leader) for one in comparisons}) == 1
    for one in comparisons:
        scale, digits, unit = scaling(section.spec)
        error = "" if math.isnan(one.estimate.error) else f" ± {scale * one.estimate.error:.{digits}f}"
        low, high = (scale * bound for bound in (one.estimate.low, one.estimate.high))
        leader = section.label_of(one.leader)
        rows.append({
            FRACTION: section.fraction(one.leader),
            "leader": "" if one_leader else leader,
            f"{leader} against" if one_leader else "against": section.label_of(one.other),
            f"difference{unit and ' in' + unit}": f"{scale * one.estimate.difference:.{digits}f}{error}",
            "95 % CI": "" if math.isnan(low) else f"{low:.{digits}f} to {high:.{digits}f}",
            "samples better / worse": "" if one.wins is None else f"{one.wins} / {one.losses}",
            "p (these networks)": _p(one.p_networks),
            "p (new seeds)": _p(one.estimate.p) if one.over_seeds else "",
            "p Holm": _p(one.corrected),
            "test": "" if same_test(comparisons) else one.test,
        })  # fmt: skip
    filled = [column for column in (rows[0] if rows else {}) if any(row[column] for row in rows)]
    return [{column: row[column] or "–" for column in filled} for row in rows]


def with_error(mean: float, deviation: float, spec: MetricSpec) -> str:
    """Return the mean and the deviation, such as `97.22 ± 0.41`."""
    error = "" if math.isnan(deviation) else f" ± {amount(deviation, spec)}"
    return amount(mean, spec) + error


def span(low: float, high: float, spec: MetricSpec) -> str:
    """Return the interval, such as `96.20 – 98.24`."""
    return "" if math.isnan(low) else f"{amount(low, spec)} – {amount(high, spec)}"


def amount(value: float, spec: MetricSpec) -> str:
    """Return a metric as text: in percent if it lies between 0 and 1, unscaled otherwise (losses)."""
    return f"{100 * value:.2f}" if spec.in_percent else f"{value:.4f}"


def _at_epoch(value: float | None, epoch: float | None, spec: MetricSpec) -> str:
    if value is None:
        return ""
    return amount(value, spec) + ("" if epoch is None else f" ({epoch:.3g})")


def _parameters(total: float | None, trainable: float | None) -> str:
    if total is None:
        return ""
    return count(total) if trainable in (None, total) else f"{count(total)}, {count(trainable or 0)} trained"


def count(number: float) -> str:
    """Return a number as text, such as `3.43 M`."""
    for size, unit in ((1e9, " B"), (1e6, " M"), (1e3, " k")):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return f"{number:.0f}"


def memory(megabytes: float | None) -> str:
    """Return the size as text, such as `735 MB` or `1.8 GB`."""
    if megabytes is None:
        return ""
    return f"{megabytes:.0f} MB" if megabytes < 1000 else f"{megabytes / 1000:.1f} GB"


def average(values: list[float | None]) -> float | None:
    """Return the mean of the known values, or None if no value is known."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _p(p: float) -> str:
    if math.isnan(p):
        return ""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
