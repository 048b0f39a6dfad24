"""Prediction for images: this module finds and reads the files, and the task writes the results."""

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
from cvlib.data.layouts import text_links
from cvlib.data.layouts.collection import files_below, image_files, name_of
from cvlib.runtime.errors import UserError
from cvlib.tasks import saved
from cvlib.tasks.base import Picture, Tell

if TYPE_CHECKING:
    import keras

    from cvlib.models.restore import SavedRun


def predict_files(
    run: SavedRun, files: Sequence[Path], folder: Path, bad: Callable[[Path, str], None] = lambda file, why: None,
    show: Callable[[int], None] = lambda done: None, tell: Tell = lambda file, answer: None, **options: float,
) -> tuple[int, list[Path]]:  # fmt: skip
    """Run the network on image files and write predictions.json, predictions.csv and pictures.

    Args:
        run: an opened run.
        files: the images, as returned by `find_files`.
        folder: the output folder.
        bad: called with each file that can't be read, and the reason; such files are skipped.
        show: called with the number of files that are done or skipped.
        tell: called with each file and its prediction as text.
        options: as returned by the task's `prediction_options`, such as `threshold` for a detector.

    Returns:
        The number of predictions, and the files that were skipped. Raises `UserError` if no file could be read.
    """
    failed: list[Path] = []
    done = 0

    def skip(file: Path, why: str) -> None:
        failed.append(file)
        bad(file, why)

    def count_and_tell(file: Path, answer: str) -> None:
        nonlocal done
        done += 1
        tell(file, answer)
        show(done + len(failed))

    images, task = readable(files, run.channels, skip, run.spec.span), tasks.of_config(run.config)
    count = task.predict_files(run, saved.network(run), images, folder, count_and_tell, **options)
    if not count:
        raise UserError(f"none of {len(files)} files could be read as an image")
    return count, failed


def values(run: SavedRun, model: keras.Model, images: Sequence[Picture]) -> list[Any]:
    """Return the prediction for each image as the task's Python objects.

    `model` is the saved network, as returned by `cvlib.tasks.saved.network`.
    """
    return tasks.of_config(run.config).values(run, model, images)


def trained_on(run: SavedRun, files: Sequence[Path]) -> list[Path]:
    """Return the files in the run's training split; predictions for these say little about new images."""
    data = run.config.data
    place = data.path or photographs.folder(data.name)
    if run.splits is None or place is None:
        return []
    root = Path(place).expanduser().resolve()
    trained = set(run.splits["train"])
    return [file for file in files if name_of(file.resolve(), root) in trained]


def picture_names(files: Sequence[Path]) -> Iterator[str]:
    """Yield a name without extension for each file's picture: the file's stem, numbered if it occurred before.

    A numbered name is never the stem of another file. Names that differ only in capitals are numbered, too, because
    some file systems don't distinguish them.
    """
    stems = {file.stem.lower() for file in files}
    counts: dict[str, int] = {}
    for file in files:
        stem, name = file.stem.lower(), file.stem
        counts[stem] = counts.get(stem, 0) + 1
        while counts[stem] > 1 and (name := f"{file.stem}~{counts[stem]}").lower() in stems:
            counts[stem] += 1
        yield name


def readable(
    files: Sequence[Path], channels: int, bad: Callable[[Path, str], None], span: tuple[float, float] | None = None
) -> Iterator[tuple[Path, str, np.ndarray]]:
    """Yield each readable file, the name for its picture, and its pixels; call `bad` for every other file."""
    for file, name in zip(files, picture_names(files), strict=True):
        try:
            pixels = read_image(file, channels, span)
        except UserError as error:
            bad(file, str(error))
            continue
        yield file, name, pixels


def find_files(paths: Sequence[str]) -> list[Path]:
    """Return the image files for `paths`: a file, all images below a folder, or all matches of a glob (also with **).

    Each file is returned once, in the order given. Raises `UserError` for a path without images.
    """
    found: list[Path] = []
    for path in paths:
        if Path(path).is_dir():
            matches = _images_below(Path(path))
        elif Path(path).exists():
            matches = [Path(path)]
        else:
            hits = [Path(hit) for hit in sorted(glob.glob(path, recursive=True))]  # noqa: PTH207  Path.glob rejects absolute patterns
            matches = [file for hit in hits for file in (_images_below(hit) if hit.is_dir() else [hit])]
        if not matches:
            problem = ("contains no images" if Path(path).is_dir()
                       else "is not a file, a folder, or a pattern that matches images")  # fmt: skip
            raise UserError(f"{path} {problem}; image files end in {', '.join(sorted(EXTENSIONS))}")
        found += matches
    return list(dict.fromkeys(found))


def _images_below(folder: Path) -> list[Path]:
    """Return the images below a folder, found as in training: by name or content, following links."""
    return sorted(image_files(text_links.followed(folder)))


def left_out(paths: Sequence[str]) -> str:
    """Return one line, with advice, about the files in folders that `find_files` skips; "" if there are none."""
    files = [file for path in paths if Path(path).is_dir() for file in files_below(Path(path))]
    others = [file for file in files if not looks_like_image(file) and not file.name.startswith(".")]
    unread = unread_in(others)
    rest = sum(images_unread(file) is None for file in others)
    return "; ".join(line for line in (unread, f"other files that are not images: {rest}" if rest else "") if line)
