"""Which network, trained how, works best on these images? The steps of `cvlib recommend`, one after the other.

    check     what would spoil every run                                cvlib.data.check
    rank      pretrained backbones, by a probe on their features        cvlib.recommend.ranking
    race      short runs of the candidates, then finals over seeds      cvlib.recommend.race
    finish    the test part, read once, for the winner                  cvlib.recommend.finish
    explain   the page and the summary                                  cvlib.recommend.page

All decisions look at training and validation images only, and are written down in a journal.
"""

from __future__ import annotations

import dataclasses
import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from cvlib.config import answers
from cvlib.config.quotes import in_quotes
from cvlib.recommend import as_json, candidates, finish, insights, latency, page, race, ranking
from cvlib.recommend.journal import NAME, Journal
from cvlib.recommend.session import Compose, Session
from cvlib.recommend.settings import Settings, templates
from cvlib.runtime.errors import UserError
from cvlib.sweeps.one_job import PATIENCE

_CHECK = "check of the images"
_TASK_ORDER = ("detection", "segmentation", "multilabel", "classification")  # preferred if there are several labels


@dataclass(frozen=True)
class Request:
    """What a person asks for.

    Attributes:
        data: a folder or a label file, or the name of a dataset that ships with cvlib.
        overrides: further overrides of the data, such as `data.layout=yolo`.
        task: None: the one that the data has labels for.
        name: of the recommendation; None: the name of the data.
        outputs: the folder for runs.
        seed: of the splits, and the first seed of the runs.
    """

    data: str
    overrides: Sequence[str] = ()
    task: str | None = None
    name: str | None = None
    outputs: Path = Path("outputs")
    seed: int = 0

    @property
    def path(self) -> Path | None:
        """The folder or the label file; None for a dataset that ships with cvlib."""
        path = Path(self.data).expanduser()
        return path.resolve() if path.exists() else None


def recommend(request: Request, settings: Settings, compose: Compose, say: Callable[[str], None]) -> Path:
    """Recommend a network for a collection of images; return the folder of the finished run.

    An interrupted recommendation continues, and a finished one uses further minutes if there are more of them. Raises
    `UserError` for invalid input, and `RunFailed` if no candidate could be trained.
    """
    selected = _selected(request)
    path = request.path
    name = request.name or (request.data if path is None else path.name if path.is_dir() else path.stem)
    if name != Path(name).name or name in ("", ".", ".."):
        raise UserError(f"--name {name}: expected a name without slashes")
    folder, target = request.outputs / "sweeps" / f"recommend-{name}", request.outputs / "recommended" / name
    finish.require_run_or_nothing(target)
    compose(selected)  # raises `UserError` for an unknown key, before anything is written
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".lock", timeout=PATIENCE):
            journal = Journal(folder / NAME)
            checked = _checked(request, journal, say)
            task = _task(request, checked)
            session = Session(settings, tuple(selected), task, folder, request.outputs, request.seed, journal, compose,
                              say)  # fmt: skip
            return _steps(session, checked, request, target)
    except Timeout:
        raise UserError(
            f"{folder} is in use by another recommendation: wait for it, or choose another --name"
        ) from None


def _steps(session: Session, checked: dict[str, Any], request: Request, target: Path) -> Path:
    found = templates(session.settings, session.task)
    asked = {"data": list(session.data), "task": session.task, "seed": session.seed,
             "settings": {**dataclasses.asdict(session.settings), "minutes": None}}  # fmt: skip

    def accepted() -> dict[str, Any]:
        ranking.split_sizes(session)  # raises an error for data that doesn't fit the task, before this is written
        return asked

    before = session.journal.decide("asked", accepted)
    if before != json.loads(json.dumps(asked)):
        same = {**before, "settings": None} == {**asked, "settings": None}
        other = f"{' '.join(before['data'])} (task={before['task']}, seed {before['seed']})"
        differs = "other numbers in conf/recommend" if same else other
        raise UserError(f"{session.folder} holds a recommendation for {differs}: choose another --name")
    session.journal.decide(_CHECK, lambda: checked)
    ranked = ranking.rank(session, found, ranking.is_dense(session.task))
    _fit_into_the_time(session, ranked[0], bool(found.frozen))
    size = ranked[0].side if ranked[0].own_side > ranked[0].side else None
    small = ranked[0].own_side <= session.settings.small
    bases = [one.base for one in ranked]
    frozen = candidates.frozen(found, [max(ranked, key=lambda one: one.probe).base])
    result = race.run(session, frozen, candidates.trained(found, bases, size, small))
    finish.leave(session, result, target)
    insights.gather(session, ranked[0])
    latency.measure(session, result)
    again = _again(request)
    as_json.write(session, ranked, result, target)
    path = page.write(session, checked, ranked, result, target, again)
    for line in page.summary(session, ranked, result, target, again):
        session.say(line)
    session.say(f"the page: {path}")
    return target


def _fit_into_the_time(session: Session, best: ranking.Ranked, frozen: bool) -> None:
    """Give all runs fewer images if the frozen base's features take too long, or smaller ones to a dense task."""
    part = session.journal.decide("share of the training images", lambda: ranking.share(session, best))
    if part < 1 and frozen:
        session.shared = (f"data.fraction={part * ranking.own_fraction(session):.4g}",)
        session.say(f"the time is short for so many images: all runs use {100 * part:.3g} % of the training images")
    if ranking.is_dense(session.task):
        side = session.journal.decide("smaller images", lambda: ranking.smaller_side(session, best))
        if side is not None:
            session.shared = (f"data.image_size={side}",)
            session.say(f"the time is short for images of {best.side} pixels: all runs use {side}×{side} pixels")
        session.epoch_seconds = session.journal.decide(
            "seconds of an epoch", lambda: ranking.epoch_seconds(session, best, side or best.side)
        )


def _again(request: Request) -> str:
    """Return the command that continues the recommendation, without the minutes."""
    options = {"--task": request.task, "--name": request.name, "--seed": request.seed or None,
               "--outputs": None if request.outputs == Path("outputs") else request.outputs}  # fmt: skip
    words = [request.data, *request.overrides]
    words += [word for name, value in options.items() if value is not None for word in (name, str(value))]
    return " ".join(["cvlib recommend", *map(shlex.quote, words)])


def _selected(request: Request) -> list[str]:
    """Return the overrides that select the data; raise `UserError` if there is no such data."""
    for override in request.overrides:
        if not override.startswith("data.") or "=" not in override:
            raise UserError(f"{override}: only data.…=… can be given besides the data; the candidates are in "
                            "conf/recommend/default.yaml")  # fmt: skip
        if override.startswith("data.split_seed="):
            raise UserError(f"{override}: give --seed instead")
    path, outputs = request.path, request.outputs.resolve()
    if path is not None and path.is_dir() and path in (outputs, *outputs.parents):
        raise UserError(f"--outputs {request.outputs} is inside the image folder {request.data}: choose another")
    if path is not None:
        return ["data=folder", f"data.path={in_quotes(str(path))}", *request.overrides]
    if request.data in answers.datasets():
        return [f"data={request.data}", *request.overrides]
    raise UserError(f"{request.data}: no such folder or file, and no dataset of cvlib has this name")


def _checked(request: Request, journal: Journal, say: Callable[[str], None]) -> dict[str, Any]:
    """Return the findings on the collection as `cvlib check --format json` gives them; raise `UserError` for errors"""
    path = request.path
    if path is None:
        return {"findings": [], "collections": []}
    layout = next((one.partition("=")[2] for one in request.overrides if one.startswith("data.layout=")), None)

    def check() -> dict[str, Any]:
        from cvlib.data import check
        from cvlib.data.check.report import as_json

        say(f"checking {request.data} …")
        report = check.check(str(path), layout)
        errors = [one for one in report.findings if one.severity == "error"]
        if errors and "data.on_error=skip" not in request.overrides:
            first = errors[0]
            raise UserError(f"{len(errors)} errors would stop every run, such as {first.path}: {first.message}; `cvlib "
                            f"check {request.data}` lists them; data.on_error=skip leaves them out")  # fmt: skip
        content: dict[str, Any] = json.loads(as_json(report))
        collections = [{"task": one["task"], "images": one["images"]} for one in content["collections"]]
        return {"findings": content["findings"][:200], "collections": collections}

    known: dict[str, Any] | None = journal.get(_CHECK)  # written as soon as the request is accepted
    return known or check()


def _task(request: Request, checked: dict[str, Any]) -> str:
    """Return the task; raise `UserError` if the data has no labels for it."""
    if request.task is not None:
        return request.task
    if request.path is None:
        return answers.datasets()[request.data][0]
    labelled = [one["task"] for one in checked["collections"]]
    if not labelled:
        raise UserError(f"{request.data} has no labels that could be read: `cvlib check {request.data}` tells why")
    return next((task for task in _TASK_ORDER if task in labelled), labelled[0])
