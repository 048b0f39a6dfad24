"""The recommendation for programs: recommendation.json beside the page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cvlib.recommend import finish, words
from cvlib.recommend.ranking import Ranked
from cvlib.recommend.result import Result
from cvlib.recommend.session import Session, Trained, validation_metric
from cvlib.report.headline import interval
from cvlib.runs.run import read_run
from cvlib.runtime.files import write_atomically

NAME = "recommendation.json"


def write(session: Session, ranked: Sequence[Ranked], result: Result, target: Path) -> None:
    """Write the recommendation into the folder of the recommended run, with metrics as recorded and seconds."""
    tested = read_run(target)
    content = {
        "recommended": result.best.name, "metric": validation_metric(finish.winner(result).run.summary),
        "clear": result.look is not None and result.look.clear,
        "verdict": [*words.verdict(session, result), words.tested(target)],
        "test": {"metric": tested.headline, "value": tested.metric(tested.headline),
                 "ci95": interval(tested, tested.headline)},
        "shared": list(session.shared), "minutes": session.settings.minutes,
        "seconds": round(session.journal.elapsed, 1),
        "untried": [one.name for one in result.untried],
        "candidates": [_candidate(name, stage, runs) for name, (stage, runs) in result.last_runs.items()],
        "ranking": [{"backbone": one.base.name, "probe": one.probe, "neighbours": one.neighbours,
                     "images": one.images} for one in ranked],
        "commands": dict(words.commands(session, finish.winner(result), target)),
    }  # fmt: skip
    write_atomically(target / NAME, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def _candidate(name: str, stage: str, runs: Sequence[Trained]) -> dict[str, Any]:
    """Return what is known of a candidate.

    `validation` is the mean over its seeds, null if all of its runs failed; `minutes` is null for its full recipe.
    """
    values = [one.value for one in runs if one.value is not None]
    return {"name": name, "reached": stage, "overrides": list(runs[0].candidate.overrides), "seeds": len(values),
            "validation": float(np.mean(values)) if values else None,
            "training_seconds": float(np.mean([one.trained for one in runs])),
            "minutes": runs[0].minutes, "runs": [str(one.folder) for one in runs]}  # fmt: skip
