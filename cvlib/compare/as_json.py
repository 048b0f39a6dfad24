"""Comparisons as JSON for programs."""

from __future__ import annotations

import json
import math
from typing import Any

from cvlib.compare import benchmarks, tables
from cvlib.compare.groups import Group, Section
from cvlib.compare.verdict import Comparison
from cvlib.compare.wording import remarks


def text(sections: list[Section], comparisons: list[list[Comparison]], warnings: list[str]) -> str:
    """Return one JSON document; differences are positive if the leader is better, and unknown numbers are null.

    `about` is "recipe" if a comparison is about the groups' recipes, or "networks" if it is only about the trained
    networks. `winner` is true if the leader's recipe is better.
    """
    parts = [_section(section, compared) for section, compared in zip(sections, comparisons, strict=True)]
    return json.dumps({"sections": parts, "warnings": warnings}, indent=2, ensure_ascii=False) + "\n"


def _section(section: Section, comparisons: list[Comparison]) -> dict[str, Any]:
    rows = tables.records(section, comparisons)
    return {
        "title": section.title, "metric": section.metric,
        "groups": [_group(group, row) for group, row in zip(section.groups, rows, strict=True)],
        "comparisons": [_comparison(one) for one in comparisons],
        "remarks": remarks(section, comparisons),
    }  # fmt: skip


def _group(group: Group, row: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": group.described, "settings": group.settings, "seeds": len(group.runs), "mean": _known(row["mean"]),
        "deviation": _known(row["deviation"]), "interval": _interval(row["ci95_low"], row["ci95_high"]),
        "folders": [str(run.folder) for run in group.runs], "latency_ms": benchmarks.latencies(group),
    }  # fmt: skip


def _comparison(one: Comparison) -> dict[str, Any]:
    return {
        "leader": one.leader.described, "other": one.other.described,
        "difference": _known(one.estimate.difference), "interval": _interval(one.estimate.low, one.estimate.high),
        "p": _known(one.estimate.p), "corrected_p": _known(one.corrected), "test": one.test,
        "about": one.about, "winner": one.has_winner, "seeds_needed": one.seeds_needed,
    }  # fmt: skip


def _interval(low: float, high: float) -> list[float] | None:
    return None if math.isnan(low) or math.isnan(high) else [low, high]


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
