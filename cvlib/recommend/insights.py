"""What features tell about the images: labels that look wrong, and what more images would bring."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cvlib.recommend import probes
from cvlib.recommend.ranking import Ranked, features_file, split_sizes
from cvlib.recommend.session import Session

if TYPE_CHECKING:
    from PIL.Image import Image

_MOST_DOUBTS = 24


def gather(session: Session, best: Ranked) -> None:
    """Write both into the journal, if the task has one class for each image, and if there is time."""
    with np.load(features_file(session, best.base)) as file:
        features, targets, names, classes = (file[key] for key in ("features", "targets", "names", "classes"))
        groups = file["groups"] if "groups" in file.files else None
    if targets.ndim != 1 or len(set(names.tolist())) < len(names):  # several labels, or boxes or pixels
        return
    if "more data" not in session.journal and session.journal.elapsed > session.seconds:
        session.say("no time is left to look for wrong labels: give more minutes to have it done")
        return
    session.journal.decide("doubtful labels", lambda: _doubts(session, features, targets, groups, names, classes))

    def curve() -> dict[str, Any] | None:
        found = probes.more_data(features, targets, groups, split_sizes(session)["train"], session.seed)
        return None if found is None else dataclasses.asdict(found)

    session.journal.decide("more data", curve)


def _doubts(
    session: Session, features: np.ndarray, targets: np.ndarray, groups: np.ndarray | None, names: np.ndarray,
    classes: np.ndarray,
) -> list[dict[str, Any]]:  # fmt: skip
    probabilities = probes.probe(features, targets, groups, session.settings.folds, session.seed)
    return [{"name": str(names[i]), "label": str(classes[targets[i]]), "other": str(classes[other]), "probability": p}
            for i, other, p in probes.doubtful(probabilities, targets)[:_MOST_DOUBTS]]  # fmt: skip


def more_data_words(found: dict[str, Any]) -> str:
    """Return what twice as many training images would bring, in a sentence."""
    gain, low, high = (100 * found[key] for key in ("gain", "low", "high"))
    return (f"Twice as many training images would bring about {gain:+.1f} points (95 % interval {low:.1f} to "
            f"{high:.1f}). This extends the learning curve of a linear probe on the frozen features of up to "
            f"{found['counts'][-1]:,} images.")  # fmt: skip


def sheet(session: Session, doubts: list[dict[str, Any]]) -> Image | None:
    """Return the images with doubtful labels as one picture; None if they aren't files."""
    from PIL import Image

    from cvlib.data.images import read_image
    from cvlib.viz import pictures

    path = session.compose([*session.data]).data.get("path")
    root = Path(path) if path and Path(path).is_dir() else Path(path).parent if path else None
    files = [root / one["name"] if root else None for one in doubts]
    shown = [(file, one) for file, one in zip(files, doubts, strict=True) if file is not None and file.is_file()]
    if not shown:
        return None
    captions = [f"{one['label']}\n{one['other']}?" for _, one in shown]
    drawn = pictures.contact_sheet([read_image(file, 3, None) for file, _ in shown], captions)
    return Image.fromarray(drawn)
