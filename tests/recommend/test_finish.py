"""The recommended run: a copy of the winner, whose test part is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cvlib.recommend import finish
from cvlib.recommend.candidates import Candidate
from cvlib.recommend.result import Result
from cvlib.runs.summary import read_summary
from cvlib.sweeps.one_job import Outcome
from tests.recommend.fake import session


def test_the_folder_holds_the_winner_also_if_the_first_winner_wins_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def evaluated(config: Any, folder: Path, texts: dict[str, str], quiet: bool) -> Outcome:
        summary = read_summary(folder) or {}
        summary["metrics"]["test/accuracy"] = summary["metrics"]["val/accuracy"]
        (folder / "summary.json").write_text(json.dumps(summary))
        for name, text in texts.items():
            (folder / name).write_text(text)
        return Outcome(folder, 0, summary)

    monkeypatch.setattr(finish.one_job, "run_isolated", evaluated)
    made, target = session(tmp_path / "s", monkeypatch, lambda *_: 0.5), tmp_path / "recommended"
    runs = [made.train("finals", Candidate(name, (f"model={name}",)), 0, 1.0) for name in ("first", "second")]
    for one in runs:
        (one.folder / ".hydra/config.yaml").write_text("trainer: {test: false}\n")
    for place, readings in ((0, 1), (0, 1), (1, 2), (0, 3)):  # the first winner, again, the second, the first
        finish.leave(made, Result(finals={runs[place].candidate: [runs[place]]}), target)
        assert f"model={runs[place].candidate.name}" in (target / ".hydra/overrides.yaml").read_text()
        assert "test/accuracy" in (read_summary(target) or {})["metrics"]
        assert sum(what.startswith(finish.TEST) for what in made.journal.names) == readings
