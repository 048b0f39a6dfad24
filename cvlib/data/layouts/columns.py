"""The meaning of the columns in a table of images: file, class, split, one column per class, or box corners."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from cvlib.data.layouts import table_labels
from cvlib.data.layouts.collection import text_of
from cvlib.data.layouts.names import split_of
from cvlib.data.layouts.table_file import number, whole

_FILE = ("file", "filename", "file_name", "filepath", "file_path", "image", "image_path", "image_file", "image_id",
         "image_name", "img", "path", "id", "id_code", "name", "imageid", "img_path", "img_name", "imagepath",
         "filenames", "image_filename", "imagename", "isic_id", "uuid",
         "datei", "dateiname", "bild", "bildname", "bildpfad", "fichier", "nom_fichier", "archivo", "imagen",
         "id_imagen", "nombre_archivo", "arquivo", "imagem", "immagine", "plik", "obraz", "файл", "изображение",
         "文件", "文件名", "图片", "ファイル", "ファイル名", "画像", "파일", "이미지")  # fmt: skip
_LABEL = ("label", "class", "class_name", "classname", "category", "target", "labels", "classes", "y", "diagnosis",
          "labelname", "classid", "class_id", "tags", "tag", "category_id", "label_name", "attributes",
          "finding_labels", "genres", "keywords", "attribute_ids",
          "klasse", "kategorie", "etikett", "classe", "catégorie", "étiquette", "clase", "categoría", "categoria",
          "etiqueta", "rótulo", "etichetta", "klasa", "kategoria", "etykieta", "класс", "метка",
          "类别", "标签", "クラス", "ラベル", "클래스", "라벨")  # fmt: skip
# Label columns, if a table has exactly one of them and no column in `_LABEL`.
_POSSIBLE_LABEL = ("dx", "breed", "species", "disease", "finding", "type", "kind", "emotion", "grade", "variety",
                   "choice")  # fmt: skip
_SPLIT = ("split", "set", "subset", "partition", "fold", "phase", "usage", "dataset", "data_set", "is_valid", "is_test")
_SEVERAL = ("tags", "attributes", "finding_labels", "genres", "keywords", "attribute_ids", "labels", "classes")
_CORNERS = (
    ("xmin", "ymin", "xmax", "ymax"), ("x_min", "y_min", "x_max", "y_max"), ("x1", "y1", "x2", "y2"),
    ("left", "top", "right", "bottom"), ("xtl", "ytl", "xbr", "ybr"), ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2"),
    ("roi.x1", "roi.y1", "roi.x2", "roi.y2"),
)  # fmt: skip
_SIDES = (("x", "y", "w", "h"), ("x", "y", "width", "height"), ("bbox_x", "bbox_y", "bbox_width", "bbox_height"),
          ("bbox_x", "bbox_y", "bbox_w", "bbox_h"), ("left", "top", "width", "height"))  # fmt: skip
_BOX = ("bbox", "box", "boundingbox", "bounding_box", "bboxes", "boxes", "predictionstring")
_RUNS = ("encodedpixels", "encoded_pixels", "rle", "rle_mask")  # masks as run lengths
_NAMED_BOXES = re.compile(r"([^\W\d]\w*( -?\d+){4} *)+")  # n01440764 1 2 8 9, as in ImageNet's solutions
_MAX_EXAMINED = 500  # maximum number of rows to examine
CLASS, ONE_HOT, BOXES, NO_LABELS, UNKNOWN, SEVERAL = "class", "one-hot", "boxes", "no labels", "unknown", "several"


@dataclass(frozen=True)
class Columns:
    """The form of a table (one of the constants above) and the indices of its columns."""

    form: str
    file: int = 0
    label: int | None = None
    split: int | None = None
    header: bool = True
    classes: dict[int, str] = field(default_factory=dict)  # column → class, for columns of 0 and 1
    corners: tuple[int, ...] = ()  # BOXES: four columns, or one column with all four numbers
    first_word: bool = False  # CLASS: the label is only the first word of its cell
    sides: bool = False  # BOXES: x, y, width, height instead of two corners
    why: str = ""  # UNKNOWN, SEVERAL: the reason for this form


def understand(rows: list[tuple[int, list[str]]], names_image: Callable[[str], bool]) -> Columns:
    """Infer the meaning of the columns from their names and values.

    Args:
        rows: the result of `table_file.read`, with the header first if there is one.
        names_image: returns whether a cell names an image of the collection.
    """
    cells = [[cell.strip() for cell in row] for _, row in rows[: _MAX_EXAMINED + 1]]
    names = [re.sub(r"\s+", "_", cell.lower()) for cell in cells[0]]
    body = [row for row in cells[1:] if len(row) >= len(names)]
    boxes = _corners(names)
    if runs := [name for name in cells[0] if re.sub(r"\s+", "_", name.lower()) in _RUNS]:
        return Columns(UNKNOWN, why=f"the column {runs[0]} holds run-length masks: draw them as mask files")
    if boxes and len(boxes[0]) == 1 and _name_one_class(column := boxes[0][0], body):
        return Columns(CLASS, _named(names, _FILE) or 0, column, first_word=True)
    names = [
        f"{name} " if name in _SPLIT and not _names_splits(body, column) else name for column, name in enumerate(names)
    ]
    file = _named(names, _FILE)
    if file is None and _named(names, _LABEL) is None and not boxes:
        if names_image(cells[0][0]):
            return _without_header(cells)
        if len(cells[0]) > 2 and split_of(cells[0][0]) is not None and names_image(cells[0][1]):
            return _of_automl(cells)
    found = _file_column(names, body, names_image, file)
    if boxes and found is not None:
        split, label = _named(names, _SPLIT), _named(names, _LABEL)
        return Columns(BOXES, found, label, split, corners=boxes[0], sides=boxes[1])
    return _with_header(cells[0], names, body, found)


def _name_one_class(column: int, body: list[list[str]]) -> bool:
    """Return whether the cells hold a class and a box, or several of the same class."""
    cells = [row[column] for row in body]
    return bool(cells) and all(_NAMED_BOXES.fullmatch(cell) and len(set(cell.split()[::5])) == 1 for cell in cells)


def _names_splits(body: list[list[str]], column: int) -> bool:
    """Return whether the cells of a column name splits, rather than fold numbers or something else."""
    return any(split_of(row[column]) is not None or row[column].lower() in ("true", "false") for row in body)


def is_label(name: str) -> bool:
    """Return whether a column of this name holds labels."""
    return re.sub(r"\s+", "_", name.strip().lower()) in (*_LABEL, *_POSSIBLE_LABEL)


def _named(names: list[str], known: tuple[str, ...]) -> int | None:
    return next((names.index(name) for name in known if name in names), None)


def _file_column(
    names: list[str], body: list[list[str]], names_image: Callable[[str], bool], named: int | None
) -> int | None:  # fmt: skip
    """Return the column that names images: `named`, unless its cells name none and another column's do."""
    some = body[:20]

    def hits(column: int) -> int:
        return sum(names_image(row[column]) for row in some)

    if named is not None and (not some or hits(named)):
        return named
    counts = {column: hits(column) for column in range(len(names))}
    best = max(counts, key=lambda column: counts[column], default=None)
    if best is not None and 2 * counts[best] > len(some):
        return best
    return named


def _corners(names: list[str]) -> tuple[tuple[int, ...], bool] | None:
    """Return the columns of a box, and whether they are a corner and side lengths instead of two corners."""
    for sides, groups in ((False, _CORNERS), (True, _SIDES)):
        for group in groups:
            if set(group) <= set(names):
                return tuple(names.index(name) for name in group), sides
    single = _named(names, _BOX)
    return None if single is None else ((single,), True)


def _without_header(cells: list[list[str]]) -> Columns:
    width = len(cells[0])
    if width < 2:
        return Columns(UNKNOWN, header=False, why="one column only: expected the image's file and its label")
    full = [row for row in cells if len(row) == width]
    numeric = [column for column in range(1, width)
               if all(not row[column] or number(row[column]) is not None for row in full)
               and any(row[column] for row in full)]  # fmt: skip
    if width == 6 and len(numeric) >= 4 and numeric[:4] in ([1, 2, 3, 4], [2, 3, 4, 5]):  # path,x1,y1,x2,y2,class
        first = 1 if numeric[:4] == [1, 2, 3, 4] else 2
        return Columns(BOXES, 0, 5 if first == 1 else 1, None, False, corners=tuple(range(first, first + 4)))
    if width > 3:
        return Columns(UNKNOWN, header=False, why=f"{width} columns without a header, so the label column is "
                       "unknown: add a header such as file,label")  # fmt: skip
    return Columns(CLASS, 0, 1, 2 if width == 3 else None, False)


def _of_automl(cells: list[list[str]]) -> Columns:
    """Return the columns of a table of Google's AutoML: split, image, label, then corners relative to the sides."""
    if len(cells[0]) == 11 and any(row[3] for row in cells if len(row) == 11):
        return Columns(BOXES, 1, 2, 0, False, corners=(3, 4, 7, 8))
    if any(cell for row in cells for cell in row[3:]):
        return Columns(UNKNOWN, header=False, why="several labels follow an image: add a header and one row per label")
    return Columns(CLASS, 1, 2, 0, False)


def _with_header(header: list[str], names: list[str], body: list[list[str]], file: int | None) -> Columns:
    label, split = _named(names, _LABEL), _named(names, _SPLIT)
    label = None if label == file else _with_words(names, body, label)
    possible = [column for column, name in enumerate(names) if name in _POSSIBLE_LABEL and column != file]
    label = possible[0] if label is None and len(possible) == 1 else label
    left = [
        column for column in range(len(names)) if column not in (file, split) and not _is_index(names, column, body)
    ]
    if label is None and file is not None and len(left) == 1:
        label = None if _are_sentences([row[left[0]] for row in body]) else left[0]
    if file is None and label is not None and len(left) == 2:
        file = next(column for column in left if column != label)
    if file is not None and not [column for column in left if column != file]:
        return Columns(NO_LABELS, file)
    one_hot = (
        _one_hot(header, body, [column for column in left if column != label], label) if file is not None else None
    )
    if one_hot is not None:
        return Columns(one_hot[0], file or 0, None, split, classes=one_hot[1], why=one_hot[2])
    if (
        file is not None
        and label is None
        and len(flags := table_labels.flag_columns([(0, row) for row in body], left)) > 1
    ):
        classes = {column: text_of(header[column].strip()) for column in flags}
        return Columns(
            SEVERAL, file, None, split, classes=classes, why="columns of 0 and 1 hold several labels per image"
        )
    if file is None or label is None:
        missing, name = ("image file", "file") if file is None else ("label", "label")
        why = f"no column is recognised as the {missing} ({text_of(', '.join(header))}): rename one to {name}"
        return Columns(UNKNOWN, file or 0, why=why)
    cells = [row[label] for row in body if len(row) > label]
    if several := _several(names[label], cells):
        return Columns(SEVERAL, file, label, split, why=f"the column {header[label]} holds {several}")
    return Columns(CLASS, file, label, split)


def _are_sentences(cells: list[str]) -> bool:
    """Return whether cells hold descriptions of the images: all different, and of several words."""
    return len(set(cells)) == len(cells) > 1 and sum(len(cell.split()) for cell in cells) >= 3 * len(cells)


def _with_words(names: list[str], body: list[list[str]], label: int | None) -> int | None:
    """Return the column of labels; of two that mean the same, the one with names instead of numbers."""
    if label is None or any(number(row[label]) is None for row in body):
        return label
    for column, name in enumerate(names):
        pairs = {(row[label], row[column]) for row in body}
        same = len(pairs) == len({one for one, _ in pairs}) == len({other for _, other in pairs}) > 1
        if name in _LABEL and column != label and same and _is_text({row[column] for row in body}):
            return column
    return label


def _is_index(names: list[str], column: int, body: list[list[str]]) -> bool:
    """Return whether a column holds row numbers, which some programs write first."""
    return (names[column] in ("", "unnamed:_0", "index")
            and all(whole(row[column]) is not None for row in body))  # fmt: skip


def _one_hot(
    header: list[str], body: list[list[str]], columns: list[int], label: int | None
) -> tuple[str, dict[int, str], str] | None:  # fmt: skip
    """Return the form of columns of 0 and 1 (or −1 and 1): one class per row or several; None for other values."""
    values = {column: {row[column] for row in body} for column in columns}
    binary = [
        column for column in columns if values[column] and all(whole(v) in ("0", "1", "-1") for v in values[column])
    ]
    if label is not None:
        own = {row[label] for row in body}
        if len(binary) < 2 or not all(whole(value) in ("0", "1", "-1") for value in own):
            return None
        binary = [label, *binary]
    others = [column for column in columns if column not in binary and not _is_text(values[column])]
    if len(binary) < 2 or others:
        return None
    sums = Counter(sum(whole(row[column]) == "1" for column in binary) for row in body)
    classes = {column: text_of(header[column].strip()) for column in binary}
    listed = ", ".join(list(classes.values())[:6]) + (", …" if len(classes) > 6 else "")
    if set(sums) == {1}:
        return ONE_HOT, classes, ""
    why = (f"the columns {listed} hold 0 and 1, and {sum(n for ones, n in sums.items() if ones != 1)} rows don't have "
           "exactly one 1")  # fmt: skip
    return SEVERAL, classes, why


def _several(name: str, values: list[str]) -> str:
    """Describe several labels per cell and their separator; empty if each cell of the column holds one label."""
    cells = [value for value in values if value]
    if all(number(cell) is not None for cell in cells):
        return ""
    many = {separator: sum(len([part for part in cell.split(separator) if part.strip()]) > 1 for cell in cells)
            for separator in ("|", ";", ",", " ")}  # fmt: skip
    found = table_labels.certain_separator(cells)
    if found is None and name in _SEVERAL:  # the column name suggests lists
        found = next((one for one, count in many.items() if 4 * count >= len(cells) and count
                      and (one != " " or name not in ("labels", "classes"))), None)  # fmt: skip
    words = {",": "commas", " ": "spaces"}
    return f"several labels per image, separated by {words.get(found, found)}" if found else ""


def _is_text(values: set[str]) -> bool:
    return all(number(value) is None for value in values)


def numbers_of(cell: str) -> list[float]:
    """Return the numbers in one cell, such as "[15.0, 14.0, 15.0, 10.0]"."""
    return [float(text) for text in re.findall(r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?", cell)]
