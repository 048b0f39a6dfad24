"""Searches never run too many trials, even if workers are killed. Runs are simulated; Optuna is real."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

optuna = pytest.importorskip("optuna", reason="searching needs the extra: pip install -e '.[search]'")

from cvlib.runtime.errors import Pruned, RunFailed, UserError  # noqa: E402
from cvlib.sweeps import one_job, search, trials  # noqa: E402
from cvlib.sweeps.folder_names import folder_name  # noqa: E402
from cvlib.sweeps.one_job import Outcome  # noqa: E402
from cvlib.sweeps.search import Compose, Prepared  # noqa: E402
from cvlib.sweeps.trials import Range, Search  # noqa: E402

SPACE: trials.Space = {
    "optimizer.lr": Range(1e-4, 1e-1, log=True),
    "model.depth": Range(1, 5, whole=True),
    "mode": ("scratch", "finetune"),
}


def simulate(folder: Path, status: str = "completed", value: float | None = 0.5) -> Outcome:
    """Write the summary of a simulated run, and return its outcome."""
    folder.mkdir(exist_ok=True)
    metrics = {} if value is None else {"val/accuracy": value, "test/accuracy": value - 0.1}
    facts = {"status": status, "task": "classification", "metrics": metrics, "timing": {"train": 2.0}}
    (folder / "summary.json").write_text(json.dumps(facts))
    return Outcome(folder, 0 if status == "completed" else 1, facts, None if status == "completed" else status)


@pytest.fixture
def trials_run(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Simulate runs, and return the folder names of the trials that ran."""
    ran: list[str] = []

    def run(config: Any, folder: Path, provenance: Any, on_epoch: Any, quiet: bool) -> Outcome:
        ran.append(folder.name)
        return simulate(folder)

    monkeypatch.setattr(one_job, "run_isolated", run)
    return ran


@pytest.fixture
def compose(tmp_path: Path) -> Compose:
    def compose_job(overrides: Sequence[str]) -> Prepared:
        used = tuple(one for one in overrides if not one.startswith("mode.weights="))  # no trial here uses these
        return Prepared({}, tmp_path / folder_name(",".join(overrides)), {}, used)

    return compose_job


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Search]:
    def make_search(**changes: Any) -> Search:
        return Search(**{
            "folder": tmp_path, "space": SPACE, "fixed": ("seed=1",), "monitor": "val/accuracy",
            "trials": 5, **changes,
        })  # fmt: skip

    return make_search


def states(given: Search) -> list[str]:
    return [trial.state.name for trial in trials.opened(given).trials]


@pytest.mark.parametrize("storage", ["journal", "sqlite"])
def test_a_repeated_search_runs_only_the_missing_trials(
    make: Callable[..., Search], compose: Compose, trials_run: list[str], storage: str
) -> None:
    search.run(make(trials=3, storage=storage), compose)
    assert len(trials_run) == 3
    search.run(make(trials=3, storage=storage), compose)
    assert len(trials_run) == 3
    search.run(make(trials=4, storage=storage), compose)
    assert len(trials_run) == 4
    assert states(make(storage=storage)) == ["COMPLETE"] * 4


def test_a_partial_line_in_the_journal_is_ignored(
    make: Callable[..., Search], compose: Compose, trials_run: list[str], tmp_path: Path
) -> None:
    search.run(make(trials=2), compose)
    with (tmp_path / "study.journal").open("ab") as journal:
        journal.write(b'{"op_code": 3, "wor')
    for trials_asked in (3, 4):
        trials._connected.cache_clear()  # as in another process
        search.run(make(trials=trials_asked), compose)
    assert states(make()) == ["COMPLETE"] * 4


def test_the_printed_overrides_of_the_best_trial_are_valid(
    make: Callable[..., Search], compose: Compose, trials_run: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    fixed = ("+sweep=lr_mode", "mode.weights=x", "name=b")
    search.run(make(trials=1, space={"mode": ("scratch",), "seed": (7,)}, fixed=fixed), compose)
    assert "its overrides: name=b mode=scratch seed=7\n" in capsys.readouterr().out  # weights would be refused


def test_draws_are_within_the_space_and_distinct(
    make: Callable[..., Search], compose: Compose, trials_run: list[str]
) -> None:
    given = make(trials=12)
    search.run(given, compose)
    drawn = [trial.params for trial in trials.opened(given).trials]
    assert all(1e-4 <= one["optimizer.lr"] <= 1e-1 for one in drawn)
    assert {one["model.depth"] for one in drawn} <= {1, 2, 3, 4, 5}
    assert {one["mode"] for one in drawn} == {"scratch", "finetune"}
    assert len({one["optimizer.lr"] for one in drawn}) == 12
    below = sum(one["optimizer.lr"] < 10**-2.5 for one in drawn)  # the middle of the interval on a log scale
    assert 2 <= below <= 10


def test_the_same_seed_gives_the_same_draws(
    make: Callable[..., Search], compose: Compose, trials_run: list[str], tmp_path: Path
) -> None:
    for name in ("a", "b", "c"):
        search.run(make(folder=tmp_path / name, startup_trials=5, seed=name == "c"), compose)
    assert trials_run[:5] == trials_run[5:10]
    assert trials_run[:5] != trials_run[10:]


def test_a_trial_whose_worker_was_killed_resumes_and_counts_once(
    make: Callable[..., Search], compose: Compose, trials_run: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = one_job.run_isolated

    def interrupt(*arguments: Any, **options: Any) -> Outcome:
        raise KeyboardInterrupt

    monkeypatch.setattr(one_job, "run_isolated", interrupt)
    with pytest.raises(KeyboardInterrupt):
        search.run(make(trials=2), compose)
    assert states(make()) == ["RUNNING"]
    begun = trials.opened(make()).trials[0].params
    monkeypatch.setattr(one_job, "run_isolated", run)
    search.run(make(trials=2), compose)
    assert states(make()) == ["COMPLETE", "COMPLETE"]
    assert len(trials_run) == 2
    assert trials.opened(make()).trials[0].params == begun


def test_a_trial_that_another_worker_runs_counts_and_is_not_claimed(
    make: Callable[..., Search], compose: Compose, trials_run: list[str]
) -> None:
    given = make(trials=3)
    (given.folder / ".locks").mkdir()
    trials.create(given)
    claimed = search._claim(given)
    assert claimed is not None
    with claimed[1]:
        search._work(given, compose, quiet=False)
        assert states(given) == ["RUNNING", "COMPLETE", "COMPLETE"]
        assert search._claim(given) is None


def _work(given: Search, compose: Compose) -> None:
    search._work(given, compose, quiet=False)


def test_three_workers_share_the_trials(make: Callable[..., Search], compose: Compose, trials_run: list[str]) -> None:
    given = make(trials=7)
    (given.folder / ".locks").mkdir()
    trials.create(given)
    workers = [multiprocessing.get_context("fork").Process(target=_work, args=(given, compose)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert states(given) == ["COMPLETE"] * 7
    assert len(list(given.folder.glob("*/summary.json"))) == 7


def test_a_trial_below_the_median_of_the_others_is_pruned(make: Callable[..., Search], compose: Compose) -> None:
    given = make(startup_trials=3, warmup_epochs=2)
    given.folder.joinpath(".locks").mkdir()
    study = trials.create(given)
    for curve in ([0.2, 0.5], [0.3, 0.6], [0.4, 0.7]):
        trial = study.ask()
        for epoch, value in enumerate(curve, start=1):
            trial.report(value, epoch)
        study.tell(trial, curve[-1])
    good, bad = (search.Reporter(given, study.ask().number) for _ in range(2))
    good(1, {"val/accuracy": 0.1})  # during warm-up
    good(2, {"val/accuracy": 0.61})  # the median is 0.6
    bad(1, {"val/accuracy": 0.1})
    with pytest.raises(Pruned, match=r"epoch 2: val/accuracy 0.5900"):
        bad(2, {"val/accuracy": 0.59})


@pytest.mark.parametrize(
    ("status", "state"), [("pruned", "PRUNED"), ("diverged", "PRUNED"), ("failed", "FAIL"), ("interrupted", "FAIL")]
)
def test_the_status_of_a_run_determines_the_state_of_its_trial(
    make: Callable[..., Search], compose: Compose, monkeypatch: pytest.MonkeyPatch, status: str, state: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def run(config: Any, folder: Path, provenance: Any, on_epoch: Any, quiet: bool) -> Outcome:
        return simulate(folder, status)

    monkeypatch.setattr(one_job, "run_isolated", run)
    with pytest.raises(RunFailed):  # no trial completed
        search.run(make(trials=1), compose)
    assert states(make()) == [state]
    assert ("error: trial 1" in capsys.readouterr().err) == (state == "FAIL")


def test_an_invalid_combination_is_a_failed_trial_and_the_search_continues(
    make: Callable[..., Search], compose: Compose, trials_run: list[str], tmp_path: Path
) -> None:
    def refuse(overrides: Sequence[str]) -> Prepared:
        if "mode=finetune" in overrides:
            raise UserError("mode=finetune needs weights")
        return compose(overrides)

    with pytest.raises(RunFailed, match="trials failed"):
        search.run(make(trials=8), refuse)
    assert set(states(make())) == {"COMPLETE", "FAIL"}
    assert len(states(make())) == 8


def test_a_different_search_in_the_same_folder_is_refused(
    make: Callable[..., Search], compose: Compose, trials_run: list[str]
) -> None:
    search.run(make(trials=1), compose)
    for changes, words in (({"space": {"optimizer.lr": Range(1e-4, 1)}}, "another search space"),
                           ({"fixed": ("seed=2",)}, r"other overrides \(.* there, .*seed=2 here\)"),
                           ({"monitor": "val/loss"}, r"another monitor \(val/\w+\)")):  # fmt: skip
        with pytest.raises(UserError, match=words):
            search.run(make(**changes), compose)


def test_the_best_trial_has_the_largest_accuracy_or_the_smallest_loss(
    make: Callable[..., Search],
    compose: Compose,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    values = iter([0.2, 0.9, 0.4] * 2)

    def run(config: Any, folder: Path, provenance: Any, on_epoch: Any, quiet: bool) -> Outcome:
        outcome = simulate(folder, value=None)
        summary = json.loads((folder / "summary.json").read_text())
        summary["metrics"] = {"val/accuracy": (value := next(values)), "val/loss": value}
        (folder / "summary.json").write_text(json.dumps(summary))
        return outcome

    monkeypatch.setattr(one_job, "run_isolated", run)
    search.run(make(trials=3), compose)
    assert "trial 2, val/accuracy 0.9000" in capsys.readouterr().out
    search.run(make(trials=3, monitor="val/loss", folder=tmp_path / "loss"), compose)
    assert "trial 1, val/loss 0.2000" in capsys.readouterr().out
