"""Pascal VOC: `JPEGImages`, `Annotations` (XML), `ImageSets`, `SegmentationClass`; detection and segmentation."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path, PureWindowsPath
from xml.etree.ElementTree import Element

from cvlib.config.schema import DataConfig
from cvlib.data import images
from cvlib.data.findings import ERROR, REMARK, WARNING
from cvlib.data.labels import BOXES, MASK, LabelKind
from cvlib.data.labels import raw_boxes as boxes
from cvlib.data.labels.raw_boxes import RawBoxes
from cvlib.data.layouts import beside, evidence, label_map, lists, masks, voc_xml
from cvlib.data.layouts.beside import AnnotationPairs
from cvlib.data.layouts.collection import Collection, Sample, by_stem, name_of, text_of
from cvlib.data.layouts.evidence import Evidence
from cvlib.data.layouts.mask_places import Place
from cvlib.data.layouts.survey import Survey
from cvlib.runtime.errors import UserError

TITLE = "Pascal VOC"
CLASS_FILES = ("detection_classes.txt", "classes.txt", "labels.txt", "class_names.txt")
_NO_CLASSES = ("_background_", "__ignore__")  # entries of LabelMe's class lists that are not classes
_IMAGE_FOLDERS = ("JPEGImages", "images", "Images")
_XML_FOLDERS = ("Annotations", "annotations", "annotations/xmls")
# The twenty classes of the challenge (Everingham et al. 2010), in the order of its mask ids, from 1.
_CHALLENGE = [
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
    "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
]  # fmt: skip


def signs(survey: Survey) -> list[Evidence]:
    """Return evidence from annotation XML files in VOC's folders or beside the images, and from SegmentationClass."""
    root, found = survey.root, []
    classic = kinds(root)
    for kind in classic:
        if kind == BOXES and (folder := _xml_folder(root)) is not None:
            number = sum(1 for _ in folder.glob("*.xml"))
            why = f"{evidence.counted(number, 'xml file')} in {name_of(folder, root)}"
        else:
            why = f"{name_of(_mask_folder(root), root)} beside images"
        found.append(Evidence("voc", kind, root, evidence.CERTAIN, why, TITLE))
    if BOXES not in classic and (xmls := _annotations_in(survey)):
        pairs = beside.match(survey.images, xmls, root)
        number = len(set(pairs.images) & set(pairs.annotations))
        if number:
            splits = pairs.splits()
            where = f" in {', '.join(splits)}" if len(splits) > 1 else ""
            why = f"{evidence.counted(number, 'xml file')} beside images{where}"
            found.append(Evidence("voc", BOXES, root, 0.93, why, TITLE))
    return found


def _annotations_in(survey: Survey) -> list[Path]:
    """Return the XML files if one of the first 20 is a VOC annotation; otherwise an empty list."""
    xmls = survey.by_suffix.get(".xml", [])
    some = [file for file in xmls[:20] if "<annotation" in (head := survey.head(file)) and "<annotations" not in head]
    return xmls if some else []


def kinds(root: Path) -> list[LabelKind]:
    """Return the kinds of labels that `root` has in VOC's folders."""
    if _first(root, _IMAGE_FOLDERS) is None:
        return []
    available = {BOXES: _xml_folder(root) is not None, MASK: _mask_folder(root).is_dir()}
    return [kind for kind, is_available in available.items() if is_available]


def _mask_folder(root: Path) -> Path:
    """Return VOC's folder of masks; LabelMe names it SegmentationClassPNG if it also writes the masks as arrays."""
    png = root / "SegmentationClassPNG"
    return png if png.is_dir() else root / "SegmentationClass"


def read(root: Path, kind: LabelKind, config: DataConfig) -> Collection:
    """Read the images that the lists in `ImageSets` name, with their boxes or masks.

    BOXES: the images listed in `ImageSets/Main` (without lists, all images with an XML file) and their boxes as
    annotated. The classes are those of `classes.txt` if it exists, otherwise all names found, sorted. MASK: the images
    listed in `ImageSets/Segmentation` and their masks. Without a label file, ids mean the challenge's 21 classes
    (including the background), or those that `data.classes` names, as in the layout `masks`.
    """
    label_folder, reader = _READERS[kind]
    image_folder = _first(root, _IMAGE_FOLDERS)
    if kind == BOXES and kind not in kinds(root):
        survey = Survey(root)
        pairs = beside.match(survey.images, _annotations_in(survey), root)
        if set(pairs.images) & set(pairs.annotations):
            collection = Collection(root, "voc", kind, [], {})
            _read_beside(collection, pairs)
            return collection
    if kind not in kinds(root) or image_folder is None:
        raise UserError(f"{root}: no VOC labels for {kind.subfolder} found: expected the folders JPEGImages and "
                        f"{label_folder}")  # fmt: skip
    collection = Collection(root, "voc", kind, [], {})
    reader(collection, image_folder, config)
    return collection


def _read_masks(collection: Collection, image_folder: Path, config: DataConfig) -> None:
    root = collection.root
    list_folder = lists.folder_of(root / "ImageSets" / "Segmentation")
    default = label_map.named(["background", *_CHALLENGE]), "the mask ids are those of Pascal VOC:"
    masks.fill(collection, {"": Place(image_folder, _mask_folder(root))}, list_folder, label_map.find(root),
               config.classes, default)  # fmt: skip


def _first(root: Path, names: tuple[str, ...]) -> Path | None:
    return next((root / name for name in names if (root / name).is_dir()), None)


def _xml_folder(root: Path) -> Path | None:
    return next((root / name for name in _XML_FOLDERS if any((root / name).glob("*.xml"))), None)


def _read_boxes(collection: Collection, image_folder: Path, config: DataConfig) -> None:
    root = collection.root
    xml_folder = _xml_folder(root)
    assert xml_folder is not None, "kinds() found one"
    pictures = by_stem(
        collection, [f for f in sorted(image_folder.iterdir()) if images.looks_like_image(f)], image_folder
    )
    annotations = {text_of(file.stem): file for file in sorted(xml_folder.glob("*.xml"))}
    list_folder = lists.folder_of(root / "ImageSets" / "Main", root / "ImageSets", root)
    if list_folder is None:
        entries = {"train": [(name, "") for name in annotations]}
        for name in sorted(set(pictures) - set(annotations)):
            collection.blame(WARNING, "missing annotation", pictures[name], "the image has no XML file: left out",
                             "add one, without objects if there are none")  # fmt: skip
    else:
        entries = lists.read(list_folder, collection)
        listed = {_id(entry, annotations, pictures) for split in entries.values() for entry, _ in split}
        for name in sorted(set(annotations) & set(pictures) - listed):
            collection.blame(REMARK, "unlisted image", pictures[name], "not in any split list: left out")
    _fill(collection, entries, list_folder, annotations, pictures)


def _read_beside(collection: Collection, pairs: AnnotationPairs) -> None:
    """Read annotations that lie beside their images, or in other folders of the same tree."""
    for key in sorted(set(pairs.images) - set(pairs.annotations)):
        collection.blame(WARNING, "missing annotation", pairs.images[key], "the image has no XML file: left out",
                         "add one, without objects if there are none")  # fmt: skip
    splits = pairs.splits()
    without_image = sorted(set(pairs.annotations) - set(pairs.images))
    for split in splits:
        own = [key for key in without_image if beside.split_of_path(Path(key)) == split]
        splits[split] = sorted([*splits[split], *own])
    entries = {split: [(key, "") for key in keys] for split, keys in splits.items()}
    _fill(collection, entries, None, pairs.annotations, pairs.images)


def _fill(
    collection: Collection, entries: dict[str, list[tuple[str, str]]], list_folder: Path | None,
    annotations: dict[str, Path], pictures: dict[str, Path],
) -> None:  # fmt: skip
    parsed: dict[str, list[tuple[str, Path, Path, Element]]] = {}
    for split, names in entries.items():
        list_file = None if list_folder is None else lists.file_for(list_folder, split)
        found = [_open(collection, entry, place, list_file, annotations, pictures) for entry, place in names]
        parsed[split] = [entry for entry in found if entry is not None]
    collection.classes = _classes(collection, [entry[3] for split in parsed.values() for entry in split])
    by_name = {name: index for index, name in enumerate(collection.classes)}
    for split, found_entries in parsed.items():
        collection.splits[split] = [
            Sample(name_of(image, collection.root), image, _objects(collection, xml, tree, by_name), xml)
            for _, image, xml, tree in found_entries
        ]


def _id(entry: str, annotations: dict[str, Path], pictures: dict[str, Path]) -> str:
    """Return the image id in a line of a list: the whole line, or the part before VOC's flag " 1", " 0" or " -1"."""
    if entry in annotations or entry in pictures:
        return entry
    first, _, rest = entry.rpartition(" ")
    short = first.strip() if rest in ("1", "-1", "0") else entry
    stem = text_of(Path(short).stem)
    return short if short in annotations or short in pictures or stem not in annotations else stem


def _open(
    collection: Collection, entry: str, place: str, list_file: Path | None,
    annotations: dict[str, Path], pictures: dict[str, Path],
) -> tuple[str, Path, Path, Element] | None:  # fmt: skip
    """Return the sample's id, image, XML file and root element; if one is missing, add a finding and return None."""
    name = _id(entry, annotations, pictures)
    image, xml = pictures.get(name), annotations.get(name)
    if xml is None:
        if image is None:
            collection.blame(ERROR, "missing image", list_file or name, f"{name} has neither an image nor an XML file",
                             "add the files, or remove the line", place)  # fmt: skip
        else:
            collection.blame(ERROR, "missing annotation", image, "the image is listed, but has no XML file",
                             "add one, without objects if there are none, or remove the line")  # fmt: skip
        return None
    tree = voc_xml.parsed(collection, xml)
    if tree is None:
        return None
    written = (tree.findtext("filename") or "").strip()
    base = text_of(PureWindowsPath(written).name)
    if image is None:
        image = pictures.get(text_of(Path(base).stem))
    if image is None:
        collection.blame(ERROR, "missing image", xml, f"there is no image {name} (or {base}) for this annotation",
                         "add the image, or remove the XML file")  # fmt: skip
        return None
    if base and Path(base).stem not in (text_of(image.stem), text_of(image.name)):
        collection.blame(REMARK, "filename tag", xml, f"the filename tag is {written}, but the image with the "
                         f"name of the XML file is used: {image.name}")  # fmt: skip
    return name, image, xml, tree


def _classes(collection: Collection, trees: list[Element]) -> list[str]:
    for file in CLASS_FILES:
        if (collection.root / file).is_file():
            lines = (collection.root / file).read_text("utf-8-sig", errors="replace").splitlines()
            return [text_of(name) for line in lines if (name := line.strip()) and name not in _NO_CLASSES]
    found = {text_of((o.findtext("name") or "").strip()) for tree in trees for o in tree.iter("object")} - {""}
    if not found:
        raise UserError(f"{collection.root}: no object in any annotation, so there is no class to learn")
    return sorted(found)


def _objects(collection: Collection, xml: Path, tree: Element, by_name: dict[str, int]) -> RawBoxes:
    corners, classes, crowd, places = [], [], [], []
    for number, element in enumerate(tree.findall("object"), 1):
        written = element.findtext("name") or ""
        name = text_of(written.strip())
        place = f"object {number} ({name})" if name else f"object {number}"
        label = _class(collection, xml, name, place, by_name)
        box = _corners(collection, xml, element, place)
        if label is None or box is None:
            continue
        corners.append(box)
        classes.append(label)
        crowd.append((element.findtext("difficult") or "0").strip() == "1")
        places.append(place)
    return boxes.raw(corners, classes, crowd, places, size=_size(collection, xml, tree))


def _class(collection: Collection, xml: Path, name: str, place: str, by_name: dict[str, int]) -> int | None:
    if name in by_name:
        return by_name[name]
    alike = [known for known in by_name if known.casefold() == name.casefold()]
    if len(alike) == 1:
        collection.blame(WARNING, "class name", xml, f"class {name} is read as {alike[0]}",
                         "use the same spelling", place)  # fmt: skip
        return by_name[alike[0]]
    known = ", ".join(list(by_name)[:10])
    message = f"class {name} is not one of {known}" if name else "the class has no name"
    collection.blame(ERROR, "unknown class", xml, message, "correct or remove it", place)
    return None


def _corners(
    collection: Collection, xml: Path, element: Element, place: str
) -> tuple[float, float, float, float] | None:
    box = element.find("bndbox")
    if box is None and (around := voc_xml.around_polygon(element)):
        return around
    if box is None:
        message = "the object has no bndbox"
        collection.blame(ERROR, "missing box", xml, message, "add one, or remove the object", place)
        return None
    values = []
    for tag in ("xmin", "ymin", "xmax", "ymax"):
        text = (box.findtext(tag) or "").strip()
        try:
            values.append(float(text))
        except ValueError:
            values.append(math.nan)
        if not math.isfinite(values[-1]):
            message = f"{tag} is {text!r}, which is not a number"
            collection.blame(ERROR, "invalid box number", xml, message, "correct it", place)
            return None
    return values[0], values[1], values[2], values[3]


def _size(collection: Collection, xml: Path, tree: Element) -> tuple[int, int] | None:
    try:
        height, width = (int(float(tree.findtext(f"size/{tag}") or "")) for tag in ("height", "width"))
    except ValueError:
        collection.blame(REMARK, "size tag", xml, "no readable image size: the size of the image file is used")
        return None
    if height <= 0 or width <= 0:
        collection.blame(REMARK, "size tag", xml, f"the image size {width}×{height} is invalid: the size of the "
                         "image file is used")  # fmt: skip
        return None
    return height, width


# Maps a kind of label to the folder of its label files, and to their reader.
_READERS: dict[LabelKind, tuple[str, Callable[[Collection, Path, DataConfig], None]]] = {
    BOXES: ("Annotations", _read_boxes),
    MASK: ("SegmentationClass", _read_masks),
}
