"""What a run's network says of images: files are found and read here, and answered in the folder of each task."""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cvlib import tasks
from cvlib.data import photographs
from cvlib.data.images import EXTENSIONS, looks_like_image, read_image, unread_in
from cvlib.data.images import unread as images_unread
from cvlib.data.layouts.collection import files_below, image_files, name_of
from cvlib.runtime.errors import UserError
from cvlib.tasks import saved

if TYPE_CHECKING:
    import keras

    from cvlib.models.restore import SavedRun


def predict_files(
    run: SavedRun, files: Sequence[Path], folder: Path, bad: Callable[[Path, str], None] = lambda file, why: None,
    show: Callable[[int], None] = lambda done: None, **options: float,
) -> tuple[int, list[Path]]:  # fmt: skip
    """Predict for image files and write predictions.json, predictions.csv and drawn pictures.

    Args:
        run: an opened run.
        files: the images, as `find_files` gives them.
        folder: where to write.
        bad: is told of every file that can't be read, and why; such files are skipped.
        show: is told how many files are done.
        options: as the task's `prediction_options` gives them, such as `threshold` for a detector.

    Returns:
        The number of predictions, and the files that were skipped. Raises `UserError` where none could be read.
    """
    failed: list[Path] = []
    done = 0

    def skip(file: Path, why: str) -> None:
        failed.append(file)
        bad(file, why)

    def tick() -> None:
        nonlocal done
        done += 1
        show(done + len(failed))

    images = readable(files, run.channels, skip, run.spec.span)
    count = tasks.of_config(run.config).predict_files(run, saved.network(run), images, folder, tick, **options)
    if not count:
        raise UserError(f"none of {len(files)} files could be read as an image")
    return count, failed


def values(run: SavedRun, model: keras.Model, images: Sequence[np.ndarray]) -> list[Any]:
    """Return the prediction for each image, uint8 `(height, width, channels)`, as the task's Python objects.

    `model` is the saved network, as `cvlib.tasks.saved.network` gives it.
    """
    return tasks.of_config(run.config).values(run, model, images)


def trained_on(run: SavedRun, files: Sequence[Path]) -> list[Path]:
    """Return those of `files` that the run's split list has in "train": its answers there say little of new images."""
    data = run.config.data
    place = data.path or photographs.folder(data.name)
    if run.splits is None or place is None:
        return []
    root = Path(place).expanduser().resolve()
    trained = set(run.splits["train"])
    return [file for file in files if name_of(file.resolve(), root) in trained]


def picture_names(files: Sequence[Path]) -> Iterator[str]:
    """Yield a name for each file's drawn picture, without its ending: its own, numbered where it came before."""
    count: dict[str, int] = {}
    for file in files:
        count[file.stem] = count.get(file.stem, 0) + 1
        yield file.stem if count[file.stem] == 1 else f"{file.stem}~{count[file.stem]}"


def readable(
    files: Sequence[Path], channels: int, bad: Callable[[Path, str], None], span: tuple[float, float] | None = None
) -> Iterator[tuple[Path, str, np.ndarray]]:
    """Yield every file that can be read, the name for its picture, and its pixels; `bad` is told of the others."""
    for file, name in zip(files, picture_names(files), strict=True):
        try:
            pixels = read_image(file, channels, span)
        except UserError as error:
            bad(file, str(error))
            continue
        yield file, name, pixels


def find_files(paths: Sequence[str]) -> list[Path]:
    """Return the image files that paths mean: a file, all images below a folder, what a glob (also with **) matches.

    Each once, in the order given. Raises `UserError` for a path that means none.
    """
    found: list[Path] = []
    for path in paths:
        if Path(path).is_dir():
            matches = _images_below(Path(path))
        elif Path(path).exists():
            matches = [Path(path)]
        else:
            hits = [Path(hit) for hit in sorted(glob.glob(path, recursive=True))]  # noqa: PTH207  Path.glob takes no absolute pattern
            matches = [file for hit in hits for file in (_images_below(hit) if hit.is_dir() else [hit])]
        if not matches:
            what = "has no images in it" if Path(path).is_dir() else "is no file, folder or pattern that matches any"
            raise UserError(f"{path} {what}; images end in {', '.join(sorted(EXTENSIONS))}")
        found += matches
    return list(dict.fromkeys(found))


def _images_below(folder: Path) -> list[Path]:
    """The images below a folder as training reads them: by name or content, through links."""
    return sorted(image_files(folder))


def left_out(paths: Sequence[str]) -> str:
    """One line on the files below the folders that `find_files` leaves out, and what to do; empty without any."""
    files = [file for path in paths if Path(path).is_dir() for file in files_below(Path(path))]
    others = [file for file in files if not looks_like_image(file) and not file.name.startswith(".")]
    unread = unread_in(others)
    rest = sum(images_unread(file) is None for file in others)
    return "; ".join(line for line in (unread, f"{rest} other files are no images" if rest else "") if line)
