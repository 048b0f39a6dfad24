"""Classification from one folder per class, possibly below folders of splits, patients or folds."""

from __future__ import annotations

from pathlib import Path

from cvlib.config.schema import DataConfig
from cvlib.data import images
from cvlib.data.findings import ERROR, REMARK, WARNING
from cvlib.data.labels import CLASS, LabelKind
from cvlib.data.layouts import class_folders, doubts, evidence, names, pairing, table_beside
from cvlib.data.layouts.class_folders import ParentFolder, Tree
from cvlib.data.layouts.collection import Collection, Sample, files_below, name_of, unread_labels
from cvlib.data.layouts.evidence import Evidence
from cvlib.data.layouts.survey import Survey
from cvlib.runtime.errors import UserError

TITLE = "class folders"
Classes = dict[str, list[Path]]  # class → its image files


def signs(survey: Survey) -> list[Evidence]:
    """Return evidence from image folders whose names mean neither a split nor another role."""
    try:
        tree = class_folders.tree(survey.root)
    except ParentFolder as error:
        refusal = str(error).removeprefix(f"{survey.root}: ")
        return [Evidence("folder", CLASS, survey.root, evidence.WEAK, "folders of images", TITLE, refusal)]
    except UserError:
        return [Evidence("folder", CLASS, survey.root, evidence.WEAK, "folders of images", TITLE)]
    if sequences := _sequences(tree):
        refusal = (f"{', '.join(sequences[:3])} look like video sequences with boxes (MOT), not like classes, and "
                   "gt.txt is not supported: export or convert it to COCO, YOLO or Pascal VOC")  # fmt: skip
        return [Evidence("folder", CLASS, survey.root, evidence.LIKELY, "", TITLE, refusal)]
    train = tree.splits.get("train") or next(iter(tree.splits.values()), {})
    classes = [name for name in train if names.only_role(name) is None]
    if any(names.only_role(name) == names.MASKS for name in train) or (train and not classes):
        refusal = _why_no_classes(list(train), survey.root)
        return [Evidence("folder", CLASS, survey.root, evidence.WEAK / 2, "", TITLE, refusal)]
    if not classes:
        return []
    number = evidence.counted(len(classes), "class folder")
    if tree.split:
        return [Evidence("folder", CLASS, survey.root, 0.85, f"{number} in {', '.join(tree.homes)}", TITLE)]
    certainty = 0.5 if len(classes) > 1 else evidence.WEAK
    return [Evidence("folder", CLASS, survey.root, certainty, number, TITLE)]


def _sequences(tree: Tree) -> list[str]:
    """Return the folders that hold the frames of a video and a file of tracked boxes, as in MOT."""
    folders = [folder for by_class in tree.splits.values() for some in by_class.values() for folder in some]
    marks = (Path("gt", "gt.txt"), Path("seqinfo.ini"))
    return [folder.name for folder in folders if any((folder / mark).is_file() for mark in marks)]


def _why_no_classes(folders: list[str], root: Path) -> str:
    """Explain why folders such as images and masks are not classes, and what to do."""
    named = [name for name in folders if names.only_role(name)]
    if any(names.only_role(name) == names.MASKS for name in named):
        return (f"{' and '.join(named)} {'looks' if len(named) == 1 else 'look'} like masks and images for "
                "segmentation: choose model=segmenter, or rename the folders if they are classes")  # fmt: skip
    return (f"the images are in {', '.join(named)}, without any classes: make a folder for each class, or a "
            f"labels.csv with the columns file and label{unread_labels(root)}")  # fmt: skip


def read(root: Path, kind: LabelKind, config: DataConfig) -> Collection:
    """Read the images below the class folders of `root`; classes are sorted as strings.

    Raises `UserError` if there are no images, or if the folders can't be interpreted.
    """
    collection = Collection(root, "folder", kind, [], {})
    tree = class_folders.tree(root)
    for severity, kind_of_finding, folder, message in tree.remarks:
        collection.blame(severity, kind_of_finding, folder, message)
    by_split = {split: _class_files(by_class, tree.homes.get(split, root), collection)
               for split, by_class in tree.splits.items()}  # fmt: skip
    by_split = {split: by_class for split, by_class in by_split.items() if split == "train" or any(by_class.values())}
    learned = by_split.get("train") or next(iter(by_split.values()), {})
    collection.classes = sorted(name for name, files in learned.items() if files)
    _read_flat_splits(collection, tree, by_split)
    _check(collection, by_split)
    doubts.report(collection, learned)
    collection.splits = {split: _samples(collection, by_class) for split, by_class in by_split.items()}
    return collection


def _class_files(by_class: dict[str, list[Path]], home: Path, collection: Collection) -> Classes:
    found: Classes = {}
    for name, folders in by_class.items():
        for class_folder in folders:
            files = found.setdefault(name, [])
            own = [file for file in files_below(class_folder) if _is_image(file, collection)]
            masks = {*pairing.masks_beside(own), *_in_mask_folders(own, class_folder)}
            files += [file for file in own if file not in masks]
            if masks:
                message = f"{evidence.counted(len(masks), 'mask')} beside the images that they belong to: left out"
                collection.blame(REMARK, "masks", class_folder, message)
            if not own:
                collection.blame(WARNING, "empty class", class_folder, "the class folder holds no images: left out",
                                 "add images, or remove the folder")  # fmt: skip
    for entry in sorted(home.iterdir()) if found else []:
        if entry.is_file() and images.looks_like_image(entry):
            collection.blame(WARNING, "loose image", entry, "not in a class folder: left out",
                             "move it into a class folder")  # fmt: skip
    return found


def _in_mask_folders(files: list[Path], class_folder: Path) -> list[Path]:
    """Return the files in a class's folder of masks: those beside cat/images, or those that pair with cat's own images.

    In the second case, the folder may be below the class folder: Class1/Train/Label.
    """
    roles = {file: {names.only_role(part) for part in file.relative_to(class_folder).parts[:-1]} for file in files}
    masks = [file for file, found in roles.items() if names.MASKS in found]
    if any(found == {names.IMAGES} for found in roles.values()):
        return masks
    in_labels = [file for file, found in roles.items() if {names.MASKS, names.LABELS} & found]
    found = []
    for folder in {file.parent for file in in_labels}:
        pictures = {file.stem: file for file in files if file.parent == folder.parent}
        pairs = pairing.pair(pictures, {file.stem: file for file in in_labels if file.parent == folder})
        found += [mask for some in pairs.masks.values() for mask in some]
    return found


def _is_image(file: Path, collection: Collection) -> bool:
    if images.looks_like_image(file):
        return True
    if images.unread(file) is None:  # unsupported formats are reported in one line for all their files
        collection.blame(REMARK, "stray file", file, "not an image by name or content: left out")
    return False


def _read_flat_splits(collection: Collection, tree: Tree, by_split: dict[str, Classes]) -> None:
    """Read splits without class folders: their labels are in a table beside the images, or missing."""
    for split, folder in tree.flat.items():
        labelled = table_beside.labels_beside(folder, collection)
        if labelled:
            by_split[split] = {name: [image for image, label in labelled.items() if label == name]
                             for name in sorted(set(labelled.values()))}  # fmt: skip
        elif split == "test":
            count = sum(images.looks_like_image(file) for file in files_below(folder))
            message = f"it has no class folders, so its {evidence.counted(count, 'image')} without labels are set aside"
            collection.blame(REMARK, "without labels", folder, message)
            collection.without_labels.append(folder)
        else:
            text_files = ", ".join(sorted(file.name for file in folder.glob("*.txt")))
            found = f" (found {text_files})" if text_files else ""
            raise UserError(f"{collection.root}: {folder.name} has no class folders{found}: put each class's images "
                            "into its own folder, as in train")  # fmt: skip


def _check(collection: Collection, by_split: dict[str, Classes]) -> None:
    root, classes = collection.root, collection.classes
    if not classes:
        listed = ", ".join(sorted(images.EXTENSIONS))
        loose = any(images.looks_like_image(entry) for entry in root.iterdir() if entry.is_file())
        if beginnings := class_folders.beginnings(root):
            raise UserError(f"{root}: found images but no class folders; the file names begin with "
                            f"{', '.join(beginnings)}: put each class's images into its own folder, or list files and "
                            "labels in labels.csv")  # fmt: skip
        if loose:
            raise UserError(f"{root}: found images but no class folders: did you mean data.path={root.parent}?")
        other = images.unread_in(files_below(root))
        raise UserError(f"{root}: no images found; " + (other or f"expected one folder per class with {listed} "
                                                         "files"))  # fmt: skip
    for split in ("val", "test"):
        for name in [name for name, files in by_split.get(split, {}).items() if files and name not in classes]:
            _resolve_unknown_class(collection, by_split[split], name, split)
    same = {name.casefold(): name for name in classes}
    for name in classes:
        if same[name.casefold()] != name:
            message = f"classes {name} and {same[name.casefold()]} differ in upper and lower case only"
            collection.blame(WARNING, "class name", name, message)


def _resolve_unknown_class(collection: Collection, by_class: Classes, name: str, split: str) -> None:
    """Rename a class of val or test that differs from a training class in case only; else report an error."""
    alike = [known for known in collection.classes if known.casefold() == name.casefold()]
    if len(alike) == 1 and not by_class.get(alike[0]):
        by_class[alike[0]] = by_class.pop(name)
        collection.blame(WARNING, "class name", f"{split}/{name}", f"class {name} is read as {alike[0]}, which "
                         "differs in upper and lower case only", "use the same spelling")  # fmt: skip
        return
    collection.blame(ERROR, "class set", by_class[name][0].parent, f"class {name} is in {split} but not in train, so "
                     "it can't be learned", "add training images or remove the folder")  # fmt: skip


def _samples(collection: Collection, by_class: Classes) -> list[Sample]:
    labels = {name: label for label, name in enumerate(collection.classes)}
    samples = [
        Sample(name_of(file, collection.root), file, labels[name])
        for name, files in by_class.items() if name in labels for file in files
    ]  # fmt: skip
    # This order doesn't depend on the file system or on the path separator.
    return sorted(samples, key=lambda sample: (sample.name, str(sample.image)))
