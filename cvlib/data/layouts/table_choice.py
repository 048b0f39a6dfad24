"""Selection of the tables that list a collection's images, and of the folders to search for the images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from cvlib.data import images
from cvlib.data.layouts import columns as column_forms
from cvlib.data.layouts import names, table_file, table_json
from cvlib.data.layouts.collection import subfolders
from cvlib.data.layouts.columns import Columns
from cvlib.data.layouts.find import ImageFinder
from cvlib.runtime.errors import UserError

_PREFERRED = ("labels", "annotations", "data", "dataset", "images", "metadata", "classification")
_IMAGE_FOLDERS = ("images", "image", "img", "imgs", "train", "test", "val", "data")


@dataclass(frozen=True)
class Table:
    """One table of a collection: its rows, and the meaning of its columns."""

    file: Path
    split: str  # "" if neither its folder nor its name gives one
    columns: Columns
    rows: list[tuple[int, list[str]]]  # as returned by `table_file.read`
    notes: list[str] = field(default_factory=list)


def tables(root: Path) -> list[Table]:
    """Return the tables of `root` and of its split folders that list images; if `root` is a file, only that table."""
    home = root.parent if root.is_file() else root
    found = []
    files = list(_files(root))
    known = names.splits_among(file.stem for file, _ in files)  # LOC_train_solution, LOC_val_solution
    for file, folder_split in files:
        try:
            content = table_file.read(file)
        except UserError:
            if root.is_file() or _is_preferred(file):
                raise
            continue
        if not content.rows:
            if root.is_file() and file.suffix.lower() not in table_json.SUFFIXES:
                raise UserError(f"{file}: the table is empty")
            continue
        names_image = _NamesImage(home, _bases(home, file, folder_split))
        if not root.is_file() and {"region_shape_attributes", "pixels"} & set(content.rows[0][1]):  # see `foreign`
            continue
        columns = column_forms.understand(content.rows, partial(names_image, outside=True))
        some_named = any(names_image(cell, True) for _, row in content.rows[:4] for cell in row if cell.strip())
        if root.is_file() or some_named:
            split = folder_split or ("" if root.is_file() else known.get(file.stem, ""))
            found.append(Table(file, split, columns, content.rows, content.notes))
    return found


def _files(root: Path) -> Iterator[tuple[Path, str]]:
    if root.is_file():
        yield root, ""
        return
    splits = [(folder, split) for folder in subfolders(root) if (split := names.split_of(folder.name))]
    known = names.splits_among(folder.name for folder in subfolders(root))
    truths = [(folder, known.get(folder.name, "")) for folder in subfolders(root)
              if names.role_of(folder.name) in (names.MASKS, names.LABELS) and folder not in dict(splits)]  # fmt: skip
    for folder, split in [(root, ""), *splits, *truths]:
        for file in sorted(folder.iterdir()):
            if file.suffix.lower() in table_file.SUFFIXES and file.is_file() and not file.name.startswith("."):
                yield file, split


def _is_preferred(file: Path) -> bool:
    return file.stem.lower() in _PREFERRED


def chosen(tables: list[Table], forms: tuple[str, ...]) -> list[Table]:
    """Return the tables to read labels from: one per split, or a single one."""
    fit = [item for item in tables if item.columns.form in forms and not names.is_unlabelled(item.file.stem)]
    by_split: dict[str, Table] = {}
    for item in sorted(fit, key=lambda item: names.exact_split(item.file.stem) is None):
        by_split.setdefault(item.split, item)
    if "train" in by_split:
        return [item for split, item in by_split.items() if split]
    named = [item for name in _PREFERRED for item in fit if item.file.stem.lower() == name]
    return named[:1] or (fit if len(fit) == 1 else [])


def unclear(tables: list[Table]) -> Table | None:
    """Return a table that has several labels for each image, or one whose columns are not recognised; else None."""
    for form in (column_forms.SEVERAL, column_forms.UNKNOWN):
        found = [item for item in tables if item.columns.form == form and not names.is_unlabelled(item.file.stem)]
        if found and (len(found) == 1 or form == column_forms.SEVERAL or _is_preferred(found[0].file)):
            return found[0]
    return None


def _bases(home: Path, file: Path, split: str) -> list[Path]:
    """Return the folders that a table's paths may be relative to, the likeliest first."""
    folders = subfolders(home)
    wanted = split or names.split_of(file.stem)
    own = [folder for folder in folders if wanted and names.split_of(folder.name) == wanted]
    usual = [folder for folder in folders if folder.name.lower() in _IMAGE_FOLDERS and folder not in own
             and (not wanted or names.split_of(folder.name) in (None, wanted))]  # fmt: skip
    beside = [file.parent] if file.parent != home else []
    return [*beside, home, *own, *usual]


def finder(home: Path, table: Table) -> ImageFinder:
    return ImageFinder(home, _bases(home, table.file, table.split), numbers=True)


class _NamesImage:
    """Callable that returns whether a cell names an image in the collection or, if `outside`, elsewhere."""

    def __init__(self, home: Path, bases: list[Path]):
        self.home, self.finder = home, ImageFinder(home, bases, numbers=True)

    def __call__(self, written: str, outside: bool = False) -> bool:
        try:
            return self.finder.find(written) is not None
        except ValueError:
            named = self.home / written.strip().replace("\\", "/")
            return outside and named.is_file() and images.looks_like_image(named)
        except OSError:  # too long for a file name
            return False


def lists_images(file: Path, root: Path, outside: bool = True) -> bool:
    """Return whether one of the first rows names an existing image in `root` or, if `outside`, elsewhere."""
    names_image = _NamesImage(
        root, _bases(root, file, names.split_of(file.parent.name) or "" if file.parent != root else "")
    )
    return any(names_image(cell, outside) for _, row in table_file.read(file, 4).rows for cell in row if cell.strip())
