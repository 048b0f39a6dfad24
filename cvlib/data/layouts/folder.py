"""A folder per class, with or without folders of splits, patients or folds above them: classification."""

from __future__ import annotations

from pathlib import Path

from cvlib.config.schema import DataConfig
from cvlib.data import images
from cvlib.data.findings import ERROR, REMARK, WARNING
from cvlib.data.labels import CLASS, LabelKind
from cvlib.data.layouts import class_folders, doubts, evidence, names, pairing, table_beside
from cvlib.data.layouts.class_folders import Tree
from cvlib.data.layouts.collection import Collection, Sample, files_below, name_of
from cvlib.data.layouts.evidence import Evidence
from cvlib.data.layouts.survey import Survey
from cvlib.runtime.errors import UserError

TITLE = "folders of classes"
Classes = dict[str, list[Path]]  # a class's image files by its name


def signs(survey: Survey) -> list[Evidence]:
    """Folders with images in them, which neither a split's nor another role's name explains."""
    try:
        tree = class_folders.tree(survey.root)
    except UserError:
        return [Evidence("folder", CLASS, survey.root, evidence.WEAK, "folders of images", TITLE)]
    train = tree.splits.get("train") or next(iter(tree.splits.values()), {})
    classes = [name for name in train if names.only_role(name) is None]
    if any(names.only_role(name) == names.MASKS for name in train) or (train and not classes):
        refusal = _no_classes(list(train))
        return [Evidence("folder", CLASS, survey.root, evidence.WEAK / 2, "", TITLE, refusal)]
    if not classes:
        return []
    number = evidence.counted(len(classes), "folder of a class", "folders of classes")
    if tree.split:
        return [Evidence("folder", CLASS, survey.root, 0.85, f"{number} in {', '.join(tree.homes)}", TITLE)]
    sure = 0.5 if len(classes) > 1 else evidence.WEAK
    return [Evidence("folder", CLASS, survey.root, sure, number, TITLE)]


def _no_classes(folders: list[str]) -> str:
    """Why folders such as images and masks aren't read as classes, and what to do."""
    named = [name for name in folders if names.only_role(name)]
    if any(names.only_role(name) == names.MASKS for name in named):
        return (f"{' and '.join(named)} {'looks' if len(named) == 1 else 'look'} like masks and images for "
                "segmentation, not like classes: choose model=segmenter, or rename them if they are")  # fmt: skip
    return (f"the images lie in {', '.join(named)}, and nothing says their classes: make a folder for each class, or "
            "a labels.csv of file and label")  # fmt: skip


def read(root: Path, kind: LabelKind, config: DataConfig) -> Collection:
    """The images below the class folders of `root`; classes are sorted as text.

    Raises `UserError` where there are no images, or folders that can't be understood.
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
    _without_labels(collection, tree, by_split)
    _check(collection, by_split)
    doubts.tell(collection, learned)
    collection.splits = {split: _samples(collection, by_class) for split, by_class in by_split.items()}
    return collection


def _class_files(by_class: dict[str, list[Path]], home: Path, collection: Collection) -> Classes:
    found: Classes = {}
    for name, folders in by_class.items():
        for class_folder in folders:
            files = found.setdefault(name, [])
            own = [file for file in files_below(class_folder) if _is_image(file, collection)]
            masks = pairing.masks_beside(own)
            files += [file for file in own if file not in masks]
            if masks:
                message = f"{len(masks)} files are masks of the images beside them: no pictures to classify, left out"
                collection.blame(REMARK, "masks", class_folder, message)
            if not own:
                collection.blame(WARNING, "empty class", class_folder, "the class folder holds no images: left out",
                                 "add images, or take the folder out")  # fmt: skip
    for entry in sorted(home.iterdir()) if found else []:
        if entry.is_file() and images.looks_like_image(entry):
            collection.blame(WARNING, "loose image", entry, "lies beside the class folders: left out",
                             "put it into its class's folder")  # fmt: skip
    return found


def _is_image(file: Path, collection: Collection) -> bool:
    if images.looks_like_image(file):
        return True
    if images.unread(file) is None:  # a format that isn't read is told of in one line for all such files
        collection.blame(REMARK, "stray file", file, "no image by name or content: left out")
    return False


def _without_labels(collection: Collection, tree: Tree, by_split: dict[str, Classes]) -> None:
    """Splits without class folders: their labels are in a table beside the images, or they have none."""
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
            inside = (
                f" ({', '.join(sorted(f.name for f in folder.glob('*.txt')))})" if any(folder.glob("*.txt")) else ""
            )
            raise UserError(f"{collection.root}: {folder.name} has no class folders in it{inside}: put each class's "
                            "images into a folder of its own, as in train")  # fmt: skip


def _check(collection: Collection, by_split: dict[str, Classes]) -> None:
    root, classes = collection.root, collection.classes
    if not classes:
        listed = ", ".join(sorted(images.EXTENSIONS))
        loose = any(images.looks_like_image(entry) for entry in root.iterdir() if entry.is_file())
        if loose:
            raise UserError(f"{root}: images lie in it, but no folders of classes: is data.path={root.parent} meant?")
        other = images.unread_in(files_below(root))
        raise UserError(f"{root}: no images in it; " + (other or f"expected a folder per class with {listed} files "
                                                        "inside"))  # fmt: skip
    for split in ("val", "test"):
        for name in [name for name, files in by_split.get(split, {}).items() if files and name not in classes]:
            _meet(collection, by_split[split], name, split)
    same = {name.casefold(): name for name in classes}
    for name in classes:
        if same[name.casefold()] != name:
            message = f"classes {name} and {same[name.casefold()]} differ in upper and lower case only"
            collection.blame(WARNING, "class name", name, message)


def _meet(collection: Collection, by_class: Classes, name: str, split: str) -> None:
    """A class of val or test that train lacks: it is another spelling of a known one, or an error."""
    alike = [known for known in collection.classes if known.casefold() == name.casefold()]
    if len(alike) == 1 and not by_class.get(alike[0]):
        by_class[alike[0]] = by_class.pop(name)
        collection.blame(WARNING, "class name", f"{split}/{name}", f"class {name} is taken for {alike[0]}, which "
                         "differs in upper and lower case only", "write it alike")  # fmt: skip
        return
    collection.blame(ERROR, "class set", by_class[name][0].parent, f"class {name} is in {split} but not in train, so "
                     "it can't be learned", "add training images or take the folder out")  # fmt: skip


def _samples(collection: Collection, by_class: Classes) -> list[Sample]:
    labels = {name: label for label, name in enumerate(collection.classes)}
    samples = [
        Sample(name_of(file, collection.root), file, labels[name])
        for name, files in by_class.items() if name in labels for file in files
    ]  # fmt: skip
    # Not by the file system's order, nor the system's slash.
    return sorted(samples, key=lambda sample: (sample.name, str(sample.image)))
