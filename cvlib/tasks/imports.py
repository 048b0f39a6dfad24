"""Predictions of another tool: which test images, classes and metrics they belong to. Needs no Keras."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from cvlib.data.dataset import Dataset
from cvlib.data.input_spec import InputSpec
from cvlib.runtime.errors import UserError
from cvlib.tasks import pseudo_values
from cvlib.tasks.predictions import Predictions, Row

_LISTED = 3


@dataclass(frozen=True)
class Targets:
    """The data that predictions are imported for.

    Attributes:
        dataset: the data, split as in a run.
        place: the collection's folder or label file; None for data without files.
        spec: the size at which masks are compared.
        ids: the names of the tool's classes in the order of its class ids.
        numbers: the class id in the dataset of each name; None for a class that the data leaves out.
    """

    dataset: Dataset
    place: Path | None
    spec: InputSpec
    ids: list[str]
    numbers: Mapping[str, int | None]

    @property
    def names(self) -> list[str]:
        """The names of the test images."""
        return self.dataset.test.names

    @property
    def order(self) -> str:
        """The order of the tool's class ids in words, for a note."""
        return listed(f"{number} is {name}" for number, name in enumerate(self.ids))

    def number(self, name: str, place: str) -> int | None:
        """Return the dataset's id of a class name; raise `UserError`, starting with `place`, for an unknown name."""
        if name not in self.numbers:
            raise UserError(f"{place}: {name!r} is not a class of the data: expected one of {listed(self.numbers, 8)}")
        return self.numbers[name]


@dataclass(frozen=True)
class Imported:
    """The predictions read from a file or folder.

    Attributes:
        predictions: the predictions for the test split.
        read_as: the format in words.
        notes: remarks for the user.
        unknown: metrics and columns of test_results.csv that the file has no values for, such as the loss.
    """

    predictions: Predictions
    read_as: str
    notes: list[str] = field(default_factory=list)
    unknown: frozenset[str] = frozenset()

    def metrics(self) -> dict[str, float]:
        """Return the metrics of the test split by name."""
        return {name: value for name, value in self.predictions.metrics().items() if name not in self.unknown}

    def results(self, names: Sequence[str]) -> list[Row]:
        """Return the rows of test_results.csv."""
        hidden = {*self.unknown, *map(pseudo_values.column, self.unknown)}
        return [{key: value for key, value in row.items() if key not in hidden}
                for row in self.predictions.results(names)]  # fmt: skip


@dataclass(frozen=True)
class Matches:
    """The images that a tool's names refer to: name → position in the test split, or None for another split."""

    positions: Mapping[str, int | None]

    def notes(self) -> list[str]:
        """Return a note on the images that are not in the test split."""
        others = [name for name, position in self.positions.items() if position is None]
        if not others:
            return []
        return [f"left out: the predictions for {len(others)} images of train and val (such as {others[0]})"]

    def missing(self, names: Sequence[str]) -> list[str]:
        """Return the test images, out of `names`, that no name refers to."""
        found = set(self.positions.values())
        return [name for position, name in enumerate(names) if position not in found]


def match(given: Iterable[str], dataset: Dataset, source: Path, split: str | None = None) -> Matches:
    """Find the image of each name that a tool uses: a path, a file name, a file name without extension, or a number.

    If several images have the same file name, the folders before it decide; then images of `split` are preferred.
    Raises `UserError` if a name belongs to no image or to several, or if two names belong to one test image.
    """
    finder = NameFinder(name for split in dataset.splits.values() for name in split.names)
    found = {name: finder.candidates(name) for name in dict.fromkeys(given)}
    if unknown := [name for name, images in found.items() if not images]:
        raise UserError(f"{source}: {len(unknown)} of {len(found)} names are not images of the data (such as "
                        f"{unknown[0]}): set data=… to the data that was predicted")  # fmt: skip
    preferred = set(dataset.splits[split].names) if split in dataset.splits else set()
    test = {name: position for position, name in enumerate(dataset.test.names)}
    positions: dict[str, int | None] = {}
    taken: dict[int, str] = {}
    for name, images in found.items():
        images = [image for image in images if image in preferred] or images
        if len(images) > 1:
            raise UserError(f"{source}: {name} could be {' or '.join(images[:2])}: give the path of the image")
        positions[name] = position = test.get(images[0])
        if position is not None and taken.setdefault(position, name) != name:
            raise UserError(f"{source}: {taken[position]} and {name} are both {images[0]}: remove one of them")
    return Matches(positions)


class NameFinder:
    """Finds images by the end of their path."""

    def __init__(self, names: Iterable[str]):
        self._by_file: dict[str, list[str]] = defaultdict(list)
        self._by_stem: dict[str, list[str]] = defaultdict(list)
        self._by_number: dict[int, list[str]] = defaultdict(list)
        for name in names:
            path = PurePosixPath(name)
            self._by_file[path.name].append(name)
            self._by_stem[path.stem].append(name)
            if path.stem.isdecimal():
                self._by_number[int(path.stem)].append(name)

    def candidates(self, given: str) -> list[str]:
        """Return the images that a name may refer to; none if it is unknown."""
        path = PurePosixPath(given.strip().replace("\\", "/"))
        images = self._by_file.get(path.name) or self._by_stem.get(path.stem) or self._by_stem.get(path.name) or []
        if not images and str(path).isdecimal():
            images = self._by_number.get(int(str(path)), [])
        if len(images) < 2:
            return images
        shared = [_shared(path.parts[:-1], PurePosixPath(image).parts[:-1]) for image in images]
        return [image for image, count in zip(images, shared, strict=True) if count == max(shared)]


def _shared(first: Sequence[str], second: Sequence[str]) -> int:
    """Return how many folders two paths share, counted from the end."""
    count = 0
    for one, other in zip(reversed(first), reversed(second), strict=False):
        if one != other:
            break
        count += 1
    return count


def require_all(matches: Matches, names: Sequence[str], source: Path) -> None:
    """Raise `UserError` if a test image has no prediction."""
    if missing := matches.missing(names):
        raise UserError(f"{source}: no prediction for {len(missing)} of {len(names)} test images (such as "
                        f"{missing[0]}): predict all of them")  # fmt: skip


def listed(names: Iterable[str], most: int = _LISTED) -> str:
    """Return `a, b, c, …`."""
    texts = list(names)
    return ", ".join(texts[:most]) + (", …" if len(texts) > most else "")
