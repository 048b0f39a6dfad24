"""Which network, trained how, works best on these images? The steps of `cvlib recommend`, one after the other.

    check     what would spoil every run                                cvlib.data.check
    rank      pretrained backbones, by a probe on their features        cvlib.recommend.ranking
    race      short runs of the candidates, then finals over seeds      cvlib.recommend.race
    finish    the test part, read once, for the winner                  cvlib.recommend.finish
    explain   the page and the summary                                  cvlib.recommend.page

All decisions look at training and validation images only, and are written down in a journal.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from cvlib.config import answers
from cvlib.recommend import candidates, finish, insights, latency, page, race, ranking
from cvlib.recommend.journal import NAME, Journal
from cvlib.recommend.session import Compose, Session
from cvlib.recommend.settings import Settings, templates
from cvlib.runtime.errors import UserError

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


def recommend(request: Request, settings: Settings, compose: Compose, say: Callable[[str], None]) -> Path:
    """Recommend a network for a collection of images; return the folder of the finished run.

    An interrupted recommendation continues, and a finished one uses further minutes if there are more of them. Raises
    `UserError` for invalid input, and `RunFailed` if no candidate could be trained.
    """
    selected = _selected(request)
    name = request.name or Path(request.data).expanduser().resolve().stem
    folder = request.outputs / "sweeps" / f"recommend-{name}"
    compose(selected)  # raises `UserError` for an unknown key, before anything is written
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".lock", timeout=0):
            journal = Journal(folder / NAME)
            checked = _checked(request, journal, say)
            task = _task(request, checked)
            session = Session(settings, tuple(selected), task, folder, request.outputs, request.seed, journal, compose,
                              say)  # fmt: skip
            return _steps(session, checked, request, request.outputs / "recommended" / name)
    except Timeout:
        raise UserError(
            f"{folder} is in use by another recommendation: wait for it, or choose another --name"
        ) from None


def _steps(session: Session, checked: dict[str, Any], request: Request, target: Path) -> Path:
    found = templates(session.settings, session.task)
    asked = {"data": list(session.data), "task": session.task, "seed": session.seed}
    before = session.journal.decide("asked", lambda: asked)
    if before != asked:
        raise UserError(f"{session.folder} holds a recommendation for {' '.join(before['data'])} "
                        f"(task={before['task']}, seed {before['seed']}): choose another --name")  # fmt: skip
    ranked = ranking.rank(session, found, ranking.is_dense(session.task))
    part = session.journal.decide("share of the training images", lambda: ranking.share(session, ranked[0]))
    if part < 1 and found.frozen:
        session.shared = (f"data.fraction={part:g}",)
        session.say(f"the time is short for so many images: all runs use {100 * part:.3g} % of the training images")
    size = ranked[0].side if ranked[0].own_side > ranked[0].side else None
    bases = [one.base for one in ranked]
    result = race.run(session, candidates.frozen(found, bases), candidates.trained(found, bases, size))
    finish.leave(session, result, target)
    insights.gather(session, ranked[0])
    latency.measure(session, result)
    path = page.write(session, checked, ranked, result, target, request.data)
    for line in page.summary(session, ranked, result, target, request.data):
        session.say(line)
    session.say(f"the page: {path}")
    return target


def _selected(request: Request) -> list[str]:
    """Return the overrides that select the data; raise `UserError` if there is no such data."""
    for override in request.overrides:
        if not override.startswith("data.") or "=" not in override:
            raise UserError(f"{override}: only data.…=… can be given besides the data; the candidates are in "
                            "conf/recommend/default.yaml")  # fmt: skip
    path = Path(request.data).expanduser()
    if path.exists():
        return ["data=folder", f"data.path={path.resolve()}", *request.overrides]
    if request.data in answers.datasets():
        return [f"data={request.data}", *request.overrides]
    raise UserError(f"{request.data}: no such folder or file, and no dataset of cvlib has this name")


def _checked(request: Request, journal: Journal, say: Callable[[str], None]) -> dict[str, Any]:
    """Return the findings on the collection as `cvlib check --format json` gives them; raise `UserError` for errors"""
    path = Path(request.data).expanduser()
    if not path.exists():
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

    found: dict[str, Any] = journal.decide("check", check)
    return found


def _task(request: Request, checked: dict[str, Any]) -> str:
    """Return the task; raise `UserError` if the data has no labels for it."""
    path = Path(request.data).expanduser()
    labelled = [one["task"] for one in checked["collections"]] if path.exists() else list(
        answers.datasets()[request.data])  # fmt: skip
    if request.task is not None:
        return request.task
    if not labelled:
        raise UserError(f"{request.data} has no labels that could be read: `cvlib check {request.data}` tells why")
    order = _TASK_ORDER if path.exists() else labelled
    return next((task for task in order if task in labelled), labelled[0])
